import type { DataKeys, SealingKey } from '../data-keys/data-keys.ts';
import { DataKeyReplaced } from '../data-keys/data-keys.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import type { Queries } from '../database/queries.ts';
import { type SecretPlace, seal } from '../encryption/sealed-secret.ts';
import { countdown, within } from '../time-limit.ts';
import { insertCopy } from './key-copy-store.ts';

/** A change that seals finds a data key and stores; with what comes before it all stays below 2 s. */
const CHANGE_LIMIT_MS = 1_600;
const SEALING_LIMIT_MS = 850;

/** A key of which a copy is to be kept. */
export interface KeyToKeep {
  id: string;
  organizationId: string;
  /** The whole key. */
  key: string;
  /** Whether it is its organisation's Default key. */
  isDefault: boolean;
}

/**
 * Sealed copies of those API keys for which that was asked. A copy is destroyed by the database in the transaction that
 * revokes or rotates its key, whoever does so.
 */
export class KeyCopies {
  readonly #dataKeys: DataKeys;

  constructor(dataKeys: DataKeys) {
    this.#dataKeys = dataKeys;
  }

  /**
   * Does what stores a copy with a data key of the organisation, and again as often as that was replaced meanwhile.
   *
   * @param work a transaction, which calls `keep`; how long it may take is its second argument
   * @throws ServiceError `encryption_unavailable`, `database_unavailable`; whatever `work` throws
   */
  async withDataKey<T>(
    organizationId: string,
    work: (sealing: SealingKey, limitMs: number) => Promise<T>,
    msLeft = countdown(CHANGE_LIMIT_MS),
  ): Promise<T> {
    do {
      const limitMs = Math.min(SEALING_LIMIT_MS, msLeft());
      const sealing = await within(limitMs, this.#dataKeys.forSealing(organizationId), databaseUnavailable);
      try {
        return await work(sealing, msLeft());
      } catch (error) {
        if (!(error instanceof DataKeyReplaced)) throw error;
      }
    } while (msLeft() > 1);
    throw databaseUnavailable();
  }

  /** Stores a copy, in the transaction that stores its key. @throws DataKeyReplaced */
  async keep(queries: Queries, sealing: SealingKey, { id, organizationId, key, isDefault }: KeyToKeep): Promise<void> {
    await this.#dataKeys.confirm(queries, sealing);
    await insertCopy(queries, {
      apiKeyId: id,
      dataKeyId: sealing.id,
      sealed: seal(sealing, placeOfCopy({ id, organizationId }), key),
      defaultOf: isDefault ? organizationId : null,
    });
  }
}

/** The one place where a copy opens. A key never changes, so that it has no versions. */
export function placeOfCopy({ id, organizationId }: { id: string; organizationId: string }): SecretPlace {
  return { purpose: 'api-key', organizationId, provider: '', rowId: id, secretVersion: 1 };
}
