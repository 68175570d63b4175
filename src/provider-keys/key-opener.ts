import type { Caller } from '../caller.ts';
import type { DataKeys } from '../data-keys/data-keys.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import { ServiceError } from '../errors.ts';
import type { KeyStatus, ShownStatus } from './key-state.ts';
import { FULLY_MASKED, maskSecret } from './masking.ts';
import type { SealedKey } from './sealed-key.ts';

/**
 * For reading what is opened then. Beside finding the caller's key and opening a data key, which may take 350 and 400 ms,
 * below 2 s.
 */
export const READ_LIMIT_MS = 1_200;

/** A stored secret that did not open; safe to log. */
export interface UnreadableSecret {
  requestId: string;
  provider: string;
  rowId: string;
  version: number;
  reason: string;
}

/**
 * Opens stored secrets, and tells of every one that does not open, wherever it is met. A value where the data key is in
 * memory, else a promise.
 */
export class KeyOpener {
  readonly #dataKeys: DataKeys;
  readonly #onUnreadable: (facts: UnreadableSecret) => void;

  constructor(dataKeys: DataKeys, onUnreadable: (facts: UnreadableSecret) => void) {
    this.#dataKeys = dataKeys;
    this.#onUnreadable = onUnreadable;
  }

  /** See `SealedKey.prepare`. @throws ServiceError `encryption_unavailable` */
  prepare(sealed: SealedKey): undefined | Promise<unknown> {
    return sealed.prepare(this.#dataKeys);
  }

  /**
   * Null for a secret that does not open: it is no other one's equal.
   *
   * @throws ServiceError `encryption_unavailable` when it cannot be opened just now
   */
  tryOpen(caller: Caller, sealed: SealedKey): string | null | Promise<string | null> {
    const failed = (error: unknown) => this.#noteUnreadable(caller, sealed, error);
    try {
      const secret = sealed.open(this.#dataKeys);
      return secret instanceof Promise ? secret.catch(failed) : secret;
    } catch (error) {
      return failed(error);
    }
  }

  /** @throws ServiceError `provider_key_unreadable`, or `encryption_unavailable` when it cannot be opened just now */
  open(caller: Caller, sealed: SealedKey): string | Promise<string> {
    const secret = this.tryOpen(caller, sealed);
    return secret instanceof Promise ? secret.then((later) => readable(sealed, later)) : readable(sealed, secret);
  }

  /**
   * How a list shows it, with what is known of it: one that does not open too, and one that cannot be opened just now,
   * which is not unreadable for it.
   */
  async mask(caller: Caller, sealed: SealedKey, known: KeyStatus): Promise<{ maskedKey: string; status: ShownStatus }> {
    try {
      const secret = await this.tryOpen(caller, sealed);
      if (secret === null) return { maskedKey: FULLY_MASKED, status: 'unreadable' };
      return { maskedKey: maskSecret(secret), status: known };
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'encryption_unavailable') throw error;
      return { maskedKey: FULLY_MASKED, status: 'unavailable' };
    }
  }

  #noteUnreadable({ requestId }: Caller, { row: { id: rowId, provider, version } }: SealedKey, error: unknown): null {
    if (!(error instanceof DecryptionError)) throw error;
    this.#onUnreadable({ requestId, provider, rowId, version, reason: error.reason });
    return null;
  }
}

function readable({ row: { id: rowId, version } }: SealedKey, secret: string | null): string {
  if (secret !== null) return secret;
  throw new ServiceError('provider_key_unreadable', 'The stored key for this provider cannot be read. Save it again.', {
    context: { rowId, version },
  });
}
