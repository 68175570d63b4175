import { randomBytes } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { KEY_BYTES } from '../encryption/aes-gcm.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import type { DataKeyIdentity, MasterKey } from '../encryption/master-key.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import {
  countByMasterKey,
  findSystemKey,
  insertUnlessPresent,
  retire,
  retireSpent,
  takeSeal,
} from './data-key-store.ts';
import type { WrappedDataKey } from './wrapped-data-key.ts';

/** With random 96-bit IVs one AES-GCM key may seal at most 2^32 times (NIST SP 800-38D §8.3). */
const MAX_SEALS = 2 ** 32;

/** A new key that another replica made may be spent before it is our turn; one that we made is ours alone. */
const MOST_ATTEMPTS = 20;

/** The master key does not open what the database holds. Safe to print: fingerprints and counts. */
export class MasterKeyMismatch extends Error {
  override readonly name = 'MasterKeyMismatch';
}

/** The data keys of organisations, and the `system` one: made when first needed, opened by the master key. */
export class DataKeys {
  readonly #masterKey: MasterKey;
  readonly #onDamaged: (dataKeyId: string) => void;
  readonly #maxSeals: number;

  /** @param options.onDamaged told of a data key that was altered, and retired for it */
  constructor(masterKey: MasterKey, options: { onDamaged: (dataKeyId: string) => void; maxSeals?: number }) {
    this.#masterKey = masterKey;
    this.#onDamaged = options.onDamaged;
    this.#maxSeals = options.maxSeals ?? MAX_SEALS;
  }

  /**
   * The key to seal one secret of an organisation with: its current one, or a new one when there is none, when it has
   * sealed as often as it may, or when it was altered and opens nothing any more. To be called once per secret,
   * before the transaction that stores it: the count is then no lock that others wait for, and a crash wastes a seal.
   */
  async forSealing(queries: Queries, organizationId: string): Promise<DataKey> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
      const current = await this.#current(queries, organizationId);
      if (current !== undefined) return current;
      await retireSpent(queries, organizationId, this.#maxSeals);
      await insertUnlessPresent(queries, this.#generate({ id: uuidv7(), purpose: 'organization', organizationId }));
    }
    throw new Error('An organisation has no data key though one was made');
  }

  async #current(queries: Queries, organizationId: string): Promise<DataKey | undefined> {
    const found = await takeSeal(queries, organizationId, this.#maxSeals);
    if (found === undefined) return undefined;
    try {
      return this.unwrap(found);
    } catch (error) {
      // Another master key's data key is sound; it is this process that must not be sealing.
      if (!(error instanceof DecryptionError) || error.reason === 'wrong_key') throw error;
      await retire(queries, found.id);
      this.#onDamaged(found.id);
      return undefined;
    }
  }

  /** @throws DecryptionError when it was wrapped by another master key, or altered */
  unwrap(dataKey: WrappedDataKey): DataKey {
    if (dataKey.masterKeyId !== this.#masterKey.id) throw new DecryptionError('wrong_key');
    return { id: dataKey.id, key: this.#masterKey.unwrap(dataKey, dataKey.wrapped) };
  }

  /**
   * Proves at start that the master key opens this database: makes the `system` data key on an empty one, else
   * unwraps it, and finds no data key that another master key wrapped.
   *
   * @throws MasterKeyMismatch
   */
  async check(database: Database): Promise<void> {
    await database.query(async (queries) => {
      const system = await findSystemKey(queries);
      if (system === undefined) {
        await this.#refuseOtherMasterKeys(queries);
        await insertUnlessPresent(queries, this.#generate({ id: uuidv7(), purpose: 'system', organizationId: null }));
      }
      await this.#refuseOtherMasterKeys(queries);
      await this.opensSystemKey(queries);
    });
  }

  /** The same proof in one read, for readiness. @throws MasterKeyMismatch */
  async opensSystemKey(queries: Queries): Promise<void> {
    const system = await findSystemKey(queries);
    if (system === undefined)
      throw new MasterKeyMismatch('The database has no system data key: is it another database than at start?');
    try {
      this.unwrap(system);
    } catch (error) {
      if (!(error instanceof DecryptionError)) throw error;
      throw new MasterKeyMismatch(
        `ENCRYPTION_KEY (fingerprint ${this.#masterKey.id}) does not open the system data key (${error.reason}): ` +
          'the row was altered or belongs to another database. Restore data_keys from a backup.',
      );
    }
  }

  async #refuseOtherMasterKeys(queries: Queries): Promise<void> {
    const others = (await countByMasterKey(queries)).filter(({ masterKeyId }) => masterKeyId !== this.#masterKey.id);
    if (others.length === 0) return;
    const needed = others.map(({ masterKeyId, count }) => `${count} data key(s) need ${masterKeyId}`).join(', ');
    throw new MasterKeyMismatch(
      `ENCRYPTION_KEY is not the key that this database was encrypted with: it has the fingerprint ` +
        `${this.#masterKey.id}, but ${needed}. Start with the right key; nothing was changed.`,
    );
  }

  #generate(identity: DataKeyIdentity): WrappedDataKey {
    const wrapped = this.#masterKey.wrap(identity, randomBytes(KEY_BYTES));
    return { ...identity, masterKeyId: this.#masterKey.id, wrapped };
  }
}
