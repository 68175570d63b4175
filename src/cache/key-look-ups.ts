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
  /** Whether there are askers who have asked for too many keys that nobody issued; see `lookUp`. */
  knowsSuspects?: boolean;
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
  /**
   * For keys that were found here before, and those of which nothing is known: a flood of these must not starve the others.
   * What suspects ask for is apart from both where there are connections enough, and never has more than one.
   */
  readonly #queues: Record<'familiar' | 'strange' | 'suspect', LookUpQueue<Buffer, Found<V>>>;

  constructor(options: KeyLookUpsOptions<V>) {
    const { changes, find, maxBytes, sizeOf, unknownRemembered, lookUpsAtOnce, limitMs, patienceMs } = options;
    this.cache = new LeasedCache({ changes, maxBytes, sizeOf, maxAbsent: unknownRemembered, readLimitMs: limitMs });
    const queue = (atOnce: number) =>
      new LookUpQueue({
        lookUp: async (keyHashes: Buffer[]) => ordered(keyHashes, await find(keyHashes)),
        atOnce: Math.max(1, atOnce),
        together: TOGETHER,
        waiting: WAITING,
        patienceMs,
      });
    const ofFamiliar = Math.floor(lookUpsAtOnce / 2);
    if (options.knowsSuspects && lookUpsAtOnce >= 3) {
      this.#queues = { familiar: queue(ofFamiliar), strange: queue(lookUpsAtOnce - ofFamiliar - 1), suspect: queue(1) };
    } else {
      const strange = queue(ofFamiliar);
      this.#queues = { familiar: queue(ofFamiliar), strange, suspect: strange };
    }
  }

  /** Without a promise: null for a key that is known to be nobody's, undefined for one that has to be looked up. */
  get(keyHash: string): V | null | undefined {
    return this.cache.get(keyHash);
  }

  /**
   * @param isSuspect who asks has asked for too many keys that nobody issued; this one may be somebody's all the same
   * @throws ServiceError `database_unavailable` or `overloaded`: a failure to look is never an answer about the key
   */
  lookUp(keyHash: string, isSuspect = false): Promise<V | null> {
    const unfamiliar = isSuspect ? this.#queues.suspect : this.#queues.strange;
    const queue = this.cache.has(keyHash) ? this.#queues.familiar : unfamiliar;
    // For as long as it takes: its connection is not free before, whoever still waits.
    return this.cache.read(keyHash, () => queue.find(Buffer.from(keyHash, 'latin1')));
  }
}

function ordered<V>(keyHashes: Buffer[], found: FoundKey<V>[]): Found<V>[] {
  const byHash = new Map(found.map((key) => [keyHashOf(key.keyHash), key]));
  return keyHashes.map((keyHash) => byHash.get(keyHashOf(keyHash)) ?? NOBODYS);
}
