/**
 * Why sealed bytes did not open:
 * - `malformed`: they are not in the format (too short, unknown version)
 * - `wrong_key`: they name another key than the one offered
 * - `not_authentic`: altered, or moved to a place that they were not sealed for
 */
export type DecryptionFailure = 'malformed' | 'wrong_key' | 'not_authentic';

/** Thrown by everything in this folder that opens something. Carries the reason and nothing of the bytes. */
export class DecryptionError extends Error {
  override readonly name = 'DecryptionError';
  readonly reason: DecryptionFailure;

  constructor(reason: DecryptionFailure) {
    super(`Sealed bytes did not open: ${reason}`);
    this.reason = reason;
  }
}
