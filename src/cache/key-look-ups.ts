import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import { type Found, LeasedCache } from './leased-cache.ts';
import { LookUpQueue } from './look-up-queue.ts';

export interface FoundKey<V> extends Found<V> {
  keyHash: Buffer;
}

export interface KeyLookUpsOptions<V> {
  changes: Changes;
  /** Asks the database for the keys with these SHA-256; answers with those that are there. */
  find: (keyHashes: Buffer[]) => Promise<FoundKey<V>[]>;
  /** Memory for what is found. */
  maxBytes: number;
  /** What a value takes of it. */
  sizeOf: (value: V) => number;
  /** Keys that nobody issued are remembered too, about 100 bytes each, and never in the place of keys that somebody did. */
  unknownRemembered: number;
  /** Database connections that look-ups may use at once. */
  lookUpsAtOnce: number;
  limitMs: number;
  /** Of the limit, what may be spent waiting for a turn: who is at last let in must have time left for the look-up itself. */
  patienceMs: number;
}

/** A look-up of so many keys takes the database little longer than one of a single key. */
const TOGETHER = 64;
/** A thousand callers at once that each have a key of their own, just after a start. */
const WAITING = 1_000;
const NOBODYS = { value: null, organizationId: null };

/**
 * Finds what belongs to a key by its SHA-256, a character for each byte: from memory while the change feed vouches for it,
 * else from the database, one look-up for a key at a time and so many for all of them.
 */
export class KeyLookUps<V extends object> {
  readonly cache: LeasedCache<V>;
  /** For keys that were found here before, and those of which nothing is known: a flood of these must not starve the others. */
  readonly #queues: Record<'familiar' | 'strange', LookUpQueue<Buffer, Found<V>>>;

  constructor(options: KeyLookUpsOptions<V>) {
    const { changes, find, maxBytes, sizeOf, unknownRemembered, lookUpsAtOnce, limitMs, patienceMs } = options;
    this.cache = new LeasedCache({ changes, maxBytes, sizeOf, maxAbsent: unknownRemembered, readLimitMs: limitMs });
    const queue = () =>
      new LookUpQueue({
        lookUp: async (keyHashes: Buffer[]) => ordered(keyHashes, await find(keyHashes)),
        atOnce: Math.max(1, Math.floor(lookUpsAtOnce / 2)),
        together: TOGETHER,
        waiting: WAITING,
        patienceMs,
      });
    this.#queues = { familiar: queue(), strange: queue() };
  }

  /** Without a promise: null for a key that is known to be nobody's, undefined for one that has to be looked up. */
  get(keyHash: string): V | null | undefined {
    return this.cache.get(keyHash);
  }

  /** @throws ServiceError `database_unavailable` or `overloaded`: a failure to look is never an answer about the key */
  lookUp(keyHash: string): Promise<V | null> {
    const queue = this.cache.has(keyHash) ? this.#queues.familiar : this.#queues.strange;
    // For as long as it takes: its connection is not free before, whoever still waits.
    return this.cache.read(keyHash, () => queue.find(Buffer.from(keyHash, 'latin1')));
  }
}

function ordered<V>(keyHashes: Buffer[], found: FoundKey<V>[]): Found<V>[] {
  const byHash = new Map(found.map((key) => [keyHashOf(key.keyHash), key]));
  return keyHashes.map((keyHash) => byHash.get(keyHashOf(keyHash)) ?? NOBODYS);
}
