/** Resolves when the work has settled, or after `limitMs`, whichever comes first; the work goes on. Never rejects. */
export async function settledWithin(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]).catch(() => {});
  clearTimeout(timer);
}

/**
 * Counts down from a limit: how much is left of it, in ms, when so much is kept for what comes later. Never nothing, so
 * that what has no time left fails as late.
 */
export function countdown(limitMs: number): (keptMs?: number) => number {
  const endMs = performance.now() + limitMs;
  return (keptMs = 0) => Math.max(1, endMs - keptMs - performance.now());
}

/**
 * Tells whether so much time has passed, by either clock: the monotonic one, which nobody sets, and the wall clock, which
 * goes on while a machine is suspended.
 */
export function deadlineIn(limitMs: number): () => boolean {
  const monotonicMs = performance.now() + limitMs;
  const wallMs = Date.now() + limitMs;
  return () => performance.now() > monotonicMs || Date.now() > wallMs;
}

/**
 * What the work comes to, or `late()` as its failure when that takes longer than `limitMs`; the work goes on. Late it is
 * also for a process that was stopped meanwhile, and finds the result before its timer has fired.
 */
export async function within<T>(limitMs: number, work: Promise<T>, late: () => Error): Promise<T> {
  const isOver = deadlineIn(limitMs);
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), limitMs);
  });
  try {
    const result = await Promise.race([work, limit]);
    if (isOver()) throw late();
    return result;
  } finally {
    clearTimeout(timer);
  }
}
