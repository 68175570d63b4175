import type { Changes } from '../database/change-feed/change-feed.ts';
import { type Found, LeasedCache } from './leased-cache.ts';
import { LookUpBudget } from './look-up-budget.ts';

export interface KeyLookUpsOptions<V> {
  changes: Changes;
  /** Asks the database for the key with this SHA-256. */
  find: (keyHash: Buffer) => Promise<Found<V>>;
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

/** What waits for its turn; at a millisecond for each look-up it is over in some 50 ms. */
const WAITING = 250;

/**
 * Finds what belongs to a key by its SHA-256, a character for each byte: from memory while the change feed vouches for it,
 * else from the database, one look-up for a key at a time and so many for all of them.
 */
export class KeyLookUps<V extends object> {
  readonly cache: LeasedCache<V>;
  readonly #find: KeyLookUpsOptions<V>['find'];
  /** For keys that were found here before, and those of which nothing is known: a flood of these must not starve the others. */
  readonly #budgets: { familiar: LookUpBudget; strange: LookUpBudget };

  constructor(options: KeyLookUpsOptions<V>) {
    const { changes, find, maxBytes, sizeOf, unknownRemembered, lookUpsAtOnce, limitMs, patienceMs } = options;
    this.#find = find;
    this.cache = new LeasedCache({ changes, maxBytes, sizeOf, maxAbsent: unknownRemembered, readLimitMs: limitMs });
    const budget = { atOnce: Math.ceil(lookUpsAtOnce / 2), waiting: WAITING, patienceMs };
    this.#budgets = { familiar: new LookUpBudget(budget), strange: new LookUpBudget(budget) };
  }

  /** Without a promise: null for a key that is known to be nobody's, undefined for one that has to be looked up. */
  get(keyHash: string): V | null | undefined {
    return this.cache.get(keyHash);
  }

  /** @throws ServiceError `database_unavailable` or `overloaded`: a failure to look is never an answer about the key */
  lookUp(keyHash: string): Promise<V | null> {
    const budget = this.cache.has(keyHash) ? this.#budgets.familiar : this.#budgets.strange;
    // For as long as it takes: its connection is not free before, whoever still waits.
    return this.cache.read(keyHash, () => budget.run(() => this.#find(Buffer.from(keyHash, 'latin1'))));
  }
}
