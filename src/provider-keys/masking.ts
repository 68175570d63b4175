const BULLET = '•';
const SHOWN_AT_EACH_END = 4;
const FEWEST_HIDDEN = 12;

/** What stands in a list for a secret of which nothing may be shown, or that cannot be read. */
export const FULLY_MASKED = BULLET.repeat(8);

/**
 * `sk-a••••3f9Q`: the first and last four characters, when at least twelve between them stay hidden; for anything
 * shorter nothing but eight bullets. Characters are Unicode code points.
 */
export function maskSecret(secret: string): string {
  const characters = [...secret];
  if (characters.length < 2 * SHOWN_AT_EACH_END + FEWEST_HIDDEN) return FULLY_MASKED;
  const start = characters.slice(0, SHOWN_AT_EACH_END).join('');
  const end = characters.slice(-SHOWN_AT_EACH_END).join('');
  return start + BULLET.repeat(4) + end;
}
