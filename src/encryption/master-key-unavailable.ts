/**
 * The keeper of a master key cannot be asked, or will not do what it is asked. It says nothing about what was wrapped.
 * Safe to print: `reason` is a code of the keeper's or of the system's.
 */
export class MasterKeyUnavailable extends Error {
  override readonly name = 'MasterKeyUnavailable';
  readonly reason: string;
  /** It has answered, and asking again will not change its mind: no such key, no right to use it, switched off. */
  readonly isRefusal: boolean;

  constructor(reason: string, { isRefusal = false } = {}) {
    super(`The master key cannot be used: ${reason}`);
    this.reason = reason;
    this.isRefusal = isRefusal;
  }
}
