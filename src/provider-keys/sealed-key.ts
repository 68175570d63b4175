import type { DataKeys } from '../data-keys/data-keys.ts';
import { opener, type SecretPlace } from '../encryption/sealed-secret.ts';
import type { SealedRow } from './provider-key-store.ts';

/** A provider key as it rests, and once it was opened its data key: this much may be kept in memory, its text never. */
export class SealedKey {
  readonly row: SealedRow;
  #open: (() => string) | undefined;

  constructor(row: SealedRow) {
    this.row = row;
  }

  /** @throws DecryptionError */
  open(dataKeys: DataKeys): string {
    this.#open ??= opener(dataKeys.unwrap(this.row.dataKey), placeOf(this.row), this.row.sealed);
    return this.#open();
  }
}

export function placeOf(row: Pick<SealedRow, 'id' | 'organizationId' | 'provider' | 'version'>): SecretPlace {
  const { id: rowId, organizationId, provider, version: secretVersion } = row;
  return { purpose: 'provider-key', organizationId, provider, rowId, secretVersion };
}
