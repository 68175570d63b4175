import { randomBytes } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { SingleFlight } from '../cache/single-flight.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { KEY_BYTES } from '../encryption/aes-gcm.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import type { Keyring } from '../encryption/keyring.ts';
import type { DataKeyIdentity } from '../encryption/master-key.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import {
  holdCurrent,
  insertUnlessPresent,
  listExisting,
  type OwnerId,
  retire,
  retireSpent,
  takeSeals,
} from './data-key-store.ts';
import { answerWithin, OpenedDataKeys, type OpenedDataKeysOptions, WAITING_LIMIT_MS } from './opened-data-keys.ts';
import { SealBlocks } from './seal-blocks.ts';
import { isUnchanged, type WrappedDataKey } from './wrapped-data-key.ts';

/** With random 96-bit IVs one AES-GCM key may seal at most 2^32 times (NIST SP 800-38D §8.3). */
const MAX_SEALS = 2 ** 32;
/** Taken at once: one write for so many seals, and so many wasted by a crash; one in 16 million of what there is. */
const SEALS_AT_ONCE = 256;
/** A new key that another replica made may be spent before it is our turn; one that we made is ours alone. */
const MOST_ATTEMPTS = 20;
const TRIP_LIMIT_MS = 600;

/** A data key to seal one secret with, as `forSealing` hands it out. */
export interface SealingKey extends DataKey {
  /** As it was stored when it was opened. */
  stored: WrappedDataKey;
}

/** The data key was retired, removed or wrapped again since it was handed out: what it sealed must not be stored. */
export class DataKeyReplaced extends Error {
  override readonly name = 'DataKeyReplaced';
}

export interface DataKeysOptions {
  database: Database;
  keyring: Keyring;
  /** Told of a data key that was altered, and retired for it. */
  onDamaged: (dataKeyId: string) => void;
  maxSeals?: number;
  sealsAtOnce?: number;
  opened?: OpenedDataKeysOptions;
}

/** The data keys of organisations, and the `system` one: made when first needed, opened by the master keys. */
export class DataKeys {
  readonly keyring: Keyring;
  readonly #database: Database;
  readonly #onDamaged: (dataKeyId: string) => void;
  readonly #maxSeals: number;
  readonly #sealsAtOnce: number;
  readonly #opened: OpenedDataKeys;
  readonly #blocks = new SealBlocks();
  readonly #flights = new SingleFlight<void>();

  constructor({ database, keyring, onDamaged, maxSeals, sealsAtOnce, opened }: DataKeysOptions) {
    this.keyring = keyring;
    this.#database = database;
    this.#onDamaged = onDamaged;
    this.#maxSeals = maxSeals ?? MAX_SEALS;
    this.#sealsAtOnce = sealsAtOnce ?? SEALS_AT_ONCE;
    this.#opened = new OpenedDataKeys(keyring, opened);
  }

  /**
   * Opens a data key: a value when it is in memory, else a promise. It never throws at once.
   *
   * @throws DecryptionError when it was wrapped by a master key that is not here, or altered
   * @throws ServiceError `encryption_unavailable`
   */
  unwrap(dataKey: WrappedDataKey): DataKey | Promise<DataKey> {
    return this.#opened.open(dataKey);
  }

  /**
   * The key to seal one secret with: the owner's current one, or a new one when there is none, when it has sealed as often
   * as it may, or when it was altered and opens nothing any more. To be called once per secret, and outside of the
   * transaction that stores it, which calls `confirm`.
   *
   * @throws ServiceError `encryption_unavailable`, `database_unavailable`
   */
  async forSealing(owner: OwnerId): Promise<SealingKey> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
      const stored = this.#blocks.use(owner);
      if (stored === undefined) await this.#flights.run(owner ?? 'system', true, () => this.#takeSeals(owner));
      else {
        const dataKey = await this.#openUnlessDamaged(owner, stored);
        if (dataKey !== undefined) return { ...dataKey, stored };
      }
    }
    throw new Error('A data key has no seals left as often as it was replaced');
  }

  /**
   * To be called in the transaction that stores what was sealed, before it is stored: the data key is as it was, and stays
   * until the transaction ends. Of any other, `forSealing` hands out its successor from now on.
   *
   * @throws DataKeyReplaced
   */
  async confirm(queries: Queries, { stored }: SealingKey): Promise<void> {
    const now = await holdCurrent(queries, stored.id);
    if (now !== undefined && isUnchanged(stored, now)) return;
    this.#blocks.drop(stored.organizationId, stored);
    throw new DataKeyReplaced();
  }

  /** Makes a data key, and stores it nowhere. @throws ServiceError `encryption_unavailable` */
  make(owner: OwnerId, waitingLimitMs = WAITING_LIMIT_MS): Promise<WrappedDataKey> {
    const purpose = owner === null ? 'system' : 'organization';
    return this.#make({ id: uuidv7(), purpose, organizationId: owner }, waitingLimitMs);
  }

  /** The same, for the audit to sign with. */
  makeForAudit(waitingLimitMs = WAITING_LIMIT_MS): Promise<WrappedDataKey> {
    return this.#make({ id: uuidv7(), purpose: 'audit', organizationId: null }, waitingLimitMs);
  }

  async #make(identity: DataKeyIdentity, waitingLimitMs: number): Promise<WrappedDataKey> {
    const { current } = this.keyring;
    const wrapped = await answerWithin(waitingLimitMs, current.wrap(identity, randomBytes(KEY_BYTES)));
    return { ...identity, masterKeyId: current.id, wrapped };
  }

  /** A data key was destroyed: no memory holds it any longer than it takes to learn of that. */
  forget(id: string): void {
    this.#opened.forget(id);
  }

  /** The same for all that were destroyed while nothing could be learnt. @throws ServiceError `database_unavailable` */
  async forgetRemoved(): Promise<void> {
    const held = this.#opened.ids;
    if (held.length === 0) return;
    const there = new Set(await this.#database.query((queries) => listExisting(queries, held)));
    for (const id of held) {
      if (!there.has(id)) this.forget(id);
    }
  }

  async #takeSeals(owner: OwnerId): Promise<void> {
    const [seals, maxSeals] = [this.#sealsAtOnce, this.#maxSeals];
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
      // Trips of its own: what is counted here stays counted, whatever becomes of the secret.
      const taken = await this.#database.query((queries) => takeSeals(queries, owner, seals, maxSeals), TRIP_LIMIT_MS);
      if (taken !== undefined) return this.#blocks.add(owner, taken, seals);
      const fresh = await this.make(owner);
      await this.#database.query(async (queries) => {
        await retireSpent(queries, owner, seals, maxSeals);
        await insertUnlessPresent(queries, fresh);
      }, TRIP_LIMIT_MS);
    }
    throw new Error('An owner has no data key though one was made');
  }

  async #openUnlessDamaged(owner: OwnerId, stored: WrappedDataKey): Promise<DataKey | undefined> {
    try {
      return await this.unwrap(stored);
    } catch (error) {
      // Another master key's data key is sound; it is this process that must not be sealing.
      if (!(error instanceof DecryptionError) || error.reason === 'wrong_key') throw error;
      this.#blocks.drop(owner, stored);
      if (await this.#database.query((queries) => retire(queries, stored.id), TRIP_LIMIT_MS)) {
        this.#onDamaged(stored.id);
      }
      return undefined;
    }
  }
}
