import { LeasedCache } from '../cache/leased-cache.ts';
import { LookUpBudget } from '../cache/look-up-budget.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { prepareFindForHolder } from './provider-key-store.ts';
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
  readonly #find: ReturnType<typeof prepareFindForHolder>;
  readonly #budget: LookUpBudget;

  constructor({ database, changes, cacheMaxBytes, lookUpsAtOnce }: HoldersKeysOptions) {
    this.#find = prepareFindForHolder(database);
    this.#budget = new LookUpBudget({ atOnce: lookUpsAtOnce, waiting: LOOKUPS_WAITING, patienceMs: WAITING_LIMIT_MS });
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
    return this.cache.read(name, () =>
      this.#budget.run(async () => {
        const row = await this.#find({ organizationId, provider });
        return { value: row === undefined ? null : new SealedKey(row), organizationId };
      }),
    );
  }
}
