/** A worker that served for so long was sound: whatever ended it, the next one is worth starting at once. */
export const SOUND_AFTER_MS = 30_000;

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * How long a place stays empty. A worker that dies is replaced at once; where one after the other dies soon after its
 * start, the machine is not to be kept busy with starting them.
 *
 * @param shortLives how many in a row have ended there before they were sound
 */
export function restartPauseMs(shortLives: number): number {
  if (shortLives < 2) return 0;
  return Math.min(FIRST_PAUSE_MS * 2 ** (shortLives - 2), LONGEST_PAUSE_MS);
}
