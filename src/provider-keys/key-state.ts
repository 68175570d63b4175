/**
 * What is known of the secret of one version.
 * - `valid`, `rejected`, `unreachable`: what its provider said when it was asked last, or that it did not answer
 * - `rate_limited`: a caller reported that the provider refuses it for being used too often
 * - `unchecked`: nobody has asked
 *
 * A caller may have reported `rejected` too.
 */
export type KeyStatus = 'valid' | 'rejected' | 'rate_limited' | 'unreachable' | 'unchecked';

export interface KeyState {
  status: KeyStatus;
  /** When the provider was asked last; null when it never was. */
  lastCheckedAt: Date | null;
}

/**
 * As lists show it. `unreadable`: the secret does not open. `unavailable`: it cannot be opened just now, because its master
 * key cannot be reached.
 */
export type ShownStatus = KeyStatus | 'unreadable' | 'unavailable';

export const UNCHECKED = { status: 'unchecked', lastCheckedAt: null } as const satisfies KeyState;
