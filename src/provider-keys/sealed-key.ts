import type { DataKeys } from '../data-keys/data-keys.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import { type DataKey, opener, type SecretPlace } from '../encryption/sealed-secret.ts';
import type { SealedRow } from './provider-key-store.ts';

/** A provider key as it rests: this much may be kept in memory, its text never, and its data key only by `DataKeys`. */
export class SealedKey {
  readonly row: SealedRow;
  #open: ((dataKey: DataKey) => string) | undefined;

  constructor(row: SealedRow) {
    this.row = row;
  }

  /**
   * Has its data key in memory, so that `open` answers at once: nothing to wait for when it was there already. What does not
   * open at all is for `open` to say.
   *
   * @throws ServiceError `encryption_unavailable` (a promise that rejects)
   */
  prepare(dataKeys: DataKeys): undefined | Promise<unknown> {
    const dataKey = dataKeys.unwrap(this.row.dataKey);
    if (!(dataKey instanceof Promise)) return undefined;
    return dataKey.catch((error: unknown) => {
      if (!(error instanceof DecryptionError)) throw error;
    });
  }

  /**
   * A value when its data key is in memory, else a promise.
   *
   * @throws DecryptionError, ServiceError `encryption_unavailable`
   */
  open(dataKeys: DataKeys): string | Promise<string> {
    this.#open ??= opener(placeOf(this.row), this.row.sealed);
    const dataKey = dataKeys.unwrap(this.row.dataKey);
    return dataKey instanceof Promise ? dataKey.then(this.#open) : this.#open(dataKey);
  }
}

export function placeOf(row: Pick<SealedRow, 'id' | 'organizationId' | 'provider' | 'version'>): SecretPlace {
  const { id: rowId, organizationId, provider, version: secretVersion } = row;
  const purpose = organizationId === null ? 'platform-key' : 'provider-key';
  return { purpose, organizationId, provider, rowId, secretVersion };
}
