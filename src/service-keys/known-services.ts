import { KeyLookUps } from '../cache/key-look-ups.ts';
import type { LeasedCache } from '../cache/leased-cache.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { hashKeyText, isServiceKey } from '../key-format.ts';
import type { LastUsed } from '../usage/last-used.ts';
import { type KnownServiceKey, type Refusal, refusalOf } from './service-key.ts';
import { prepareFindServiceKeys } from './service-key-store.ts';

/** Whose key it is, or why it is nobody's that may come in. */
export type Recognition =
  | { known: true; service: KnownServiceKey }
  | { known: false; refusal: Refusal | { reason: 'unknown' } };

/** What is left of two seconds by the trip of 1.6 s that most requests of services make after it. */
const LOOKUP_LIMIT_MS = 350;
/** Of that, what may be spent waiting for a turn. */
const WAITING_LIMIT_MS = 250;
const UNKNOWN_KEYS_REMEMBERED = 10_000;
/** What a key takes with the cache's own lists, beside its texts: a permission or a provider is one of these. */
const FIXED_BYTES = 640;
const TEXT_BYTES = 64;

const UNKNOWN: Recognition = { known: false, refusal: { reason: 'unknown' } };

interface Dependencies {
  database: Database;
  changes: Changes;
  lastUsed: LastUsed;
  cacheMaxBytes: number;
  /** Database connections that look-ups may use at once. */
  lookUpsAtOnce: number;
}

/** Knows the platform's services by their keys, from memory while the change feed vouches for it, else from the database. */
export class KnownServices {
  readonly #lastUsed: LastUsed;
  readonly #keys: KeyLookUps<KnownServiceKey>;

  constructor({ database, changes, lastUsed, cacheMaxBytes, lookUpsAtOnce }: Dependencies) {
    const find = prepareFindServiceKeys(database);
    this.#lastUsed = lastUsed;
    this.#keys = new KeyLookUps({
      changes,
      async find(keyHashes) {
        const found = await find(keyHashes);
        return found.map(({ keyHash, ...service }) => ({ keyHash, value: service, organizationId: null }));
      },
      maxBytes: cacheMaxBytes,
      sizeOf: ({ permissions, revealProviders }) =>
        FIXED_BYTES + TEXT_BYTES * (permissions.length + (revealProviders?.length ?? 0)),
      unknownRemembered: UNKNOWN_KEYS_REMEMBERED,
      lookUpsAtOnce,
      limitMs: LOOKUP_LIMIT_MS,
      patienceMs: WAITING_LIMIT_MS,
    });
  }

  get cache(): LeasedCache<KnownServiceKey> {
    return this.#keys.cache;
  }

  /**
   * A promise only where the database has to be asked.
   *
   * @throws ServiceError `database_unavailable` or `overloaded`: a failure to look is never an answer about the key
   */
  recognize(key: string): Recognition | Promise<Recognition> {
    const hash = hashKeyText(key);
    const known = this.#keys.get(hash);
    if (known !== undefined) return this.#judge(known);
    if (!isServiceKey(key)) return UNKNOWN;
    return this.#keys.lookUp(hash).then((found) => this.#judge(found));
  }

  #judge(service: KnownServiceKey | null): Recognition {
    if (service === null) return UNKNOWN;
    const now = Date.now();
    const refusal = refusalOf(service, now);
    if (refusal !== null) return { known: false, refusal };
    this.#lastUsed.record(service.id, now);
    return { known: true, service };
  }
}
