import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import { ServiceError } from '../errors.ts';
import { findAuditKey, findAuditKeyById, insertUnlessPresent } from './data-key-store.ts';
import type { DataKeys } from './data-keys.ts';
import type { WrappedDataKey } from './wrapped-data-key.ts';

/** Another replica may have made a newer one; what the older one signs meanwhile is as good. */
const CURRENT_FOR_MS = 60_000;

/** The data keys that the audit signs with: they belong to no organisation, and seal nothing. */
export class AuditKeys {
  readonly #database: Database;
  readonly #dataKeys: DataKeys;
  #current: { wrapped: WrappedDataKey; readAt: number } | undefined;

  constructor(database: Database, dataKeys: DataKeys) {
    this.#database = database;
    this.#dataKeys = dataKeys;
  }

  /**
   * The one to sign with, usually from memory. To be had before the transaction that it signs in: opening it may take a
   * question to somebody else, and no lock waits for that.
   *
   * @throws ServiceError `audit_unavailable` when it is gone, was altered or cannot be opened just now,
   * `database_unavailable` within `limitMs`
   */
  async current(limitMs: number): Promise<DataKey> {
    try {
      const known = this.#current;
      const isFresh = known !== undefined && performance.now() - known.readAt < CURRENT_FOR_MS;
      return (isFresh ? await this.#tryUnwrap(known.wrapped) : null) ?? (await this.#read(limitMs));
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'encryption_unavailable') throw error;
      throw unavailable(null, error);
    }
  }

  /** The one that an event names; null when there is none of this id that opens. */
  async find(queries: Queries, id: string): Promise<DataKey | null> {
    const wrapped = await findAuditKeyById(queries, id);
    return wrapped === undefined ? null : this.#tryUnwrap(wrapped);
  }

  /** It may have been wrapped by another master key since, or another replica may have made one. */
  async #read(limitMs: number): Promise<DataKey> {
    const wrapped = (await this.#database.query(findAuditKey, limitMs)) ?? (await this.#make(limitMs));
    const key = wrapped === undefined ? null : await this.#tryUnwrap(wrapped);
    if (wrapped === undefined || key === null) throw unavailable(wrapped?.id ?? null);
    this.#current = { wrapped, readAt: performance.now() };
    return key;
  }

  /** It is made at the first start, or here when the master key could not be reached then. */
  async #make(limitMs: number): Promise<WrappedDataKey | undefined> {
    const fresh = await this.#dataKeys.makeForAudit();
    return this.#database.query(async (queries) => {
      await insertUnlessPresent(queries, fresh);
      return findAuditKey(queries);
    }, limitMs);
  }

  async #tryUnwrap(wrapped: WrappedDataKey): Promise<DataKey | null> {
    try {
      return await this.#dataKeys.unwrap(wrapped);
    } catch (error) {
      if (error instanceof DecryptionError) return null;
      throw error;
    }
  }
}

function unavailable(auditDataKey: string | null, cause?: unknown): ServiceError {
  return new ServiceError('audit_unavailable', 'The audit log cannot be written at the moment.', {
    context: { auditDataKey },
    cause,
  });
}
