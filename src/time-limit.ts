/** Resolves when the work has settled, or after `limitMs`, whichever comes first; the work goes on. Never rejects. */
export async function settledWithin(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]).catch(() => {});
  clearTimeout(timer);
}
