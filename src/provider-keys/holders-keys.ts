import { type Found, LeasedCache } from '../cache/leased-cache.ts';
import { LookUpQueue } from '../cache/look-up-queue.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { prepareFindForHolder, type SealedRow } from './provider-key-store.ts';
import { SealedKey } from './sealed-key.ts';

/** A holder's request may have made a trip to the database already, to find its API key; both together stay below 2 s. */
const LOOKUP_LIMIT_MS = 750;
/** Of that, what may be spent waiting for a turn. */
const WAITING_LIMIT_MS = 250;
const LOOKUPS_WAITING = 250;
/** Providers that an organisation has no key of. */
const ABSENT_REMEMBERED = 10_000;
/** What a sealed key takes beside its ciphertext: the row, its data key wrapped and opened, the cache's own lists. */
const FIXED_BYTES = 2_048;

interface Holding {
  organizationId: string;
  provider: string;
}

export interface HoldersKeysOptions {
  database: Database;
  changes: Changes;
  cacheMaxBytes: number;
  /** Database connections that look-ups may use at once. */
  lookUpsAtOnce: number;
}

/** The sealed keys that holders of API keys ask for, from memory while the change feed vouches for it. */
export class HoldersKeys {
  readonly cache: LeasedCache<SealedKey>;
  readonly #queue: LookUpQueue<Holding, Found<SealedKey>>;

  constructor({ database, changes, cacheMaxBytes, lookUpsAtOnce }: HoldersKeysOptions) {
    const find = prepareFindForHolder(database);
    this.#queue = new LookUpQueue({
      lookUp: (holdings) => Promise.all(holdings.map(async (holding) => found(holding, await find(holding)))),
      atOnce: lookUpsAtOnce,
      together: 1,
      waiting: LOOKUPS_WAITING,
      patienceMs: WAITING_LIMIT_MS,
    });
    this.cache = new LeasedCache({
      changes,
      maxBytes: cacheMaxBytes,
      sizeOf: ({ row }) => FIXED_BYTES + row.sealed.length,
      maxAbsent: ABSENT_REMEMBERED,
      readLimitMs: LOOKUP_LIMIT_MS,
    });
  }

  /** Null when the organisation has no key for the provider. @throws ServiceError `database_unavailable` or `overloaded` */
  find(organizationId: string, provider: string): SealedKey | null | Promise<SealedKey | null> {
    const name = `${organizationId}/${provider}`;
    const known = this.cache.get(name);
    if (known !== undefined) return known;
    return this.cache.read(name, () => this.#queue.find({ organizationId, provider }));
  }
}

function found({ organizationId }: Holding, row: SealedRow | undefined): Found<SealedKey> {
  return { value: row === undefined ? null : new SealedKey(row), organizationId };
}
