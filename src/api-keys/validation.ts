import { LeasedCache } from '../cache/leased-cache.ts';
import { LookUpBudget } from '../cache/look-up-budget.ts';
import type { ApiKeyCaller, Origin } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import { hashKeyText, hasWrongChecksum } from '../key-format.ts';
import type { Membership, MembershipLookup } from '../organizations/membership.ts';
import { within } from '../time-limit.ts';
import type { LastUsed } from '../usage/last-used.ts';
import { type Refusal, refusalOf } from './api-key.ts';
import { prepareFindForValidation } from './api-key-store.ts';
import { KnownKey } from './known-key.ts';

/** The outcome of a validation is data: why a key is refused is as ordinary an answer as that it is good. */
export type Validation =
  | { valid: true; holder: KeyHolder }
  | { valid: false; refusal: Refusal | { reason: 'invalid' } };

/** The holder of a valid key, with what is known of it. */
export interface KeyHolder extends ApiKeyCaller {
  known: KnownKey;
}

/** Validations promise an answer within a second when the database is gone; this leaves room to give it. */
const LOOKUP_LIMIT_MS = 750;
/** Of that, what may be spent waiting for a turn: who is at last let in must have time left for the look-up itself. */
const WAITING_LIMIT_MS = 250;
/** Keys that nobody issued are remembered too, about 100 bytes each, and never in the place of keys that somebody did. */
const UNKNOWN_KEYS_REMEMBERED = 50_000;
/** What waits for its turn; at a millisecond for each look-up it is over in some 50 ms. */
const LOOKUPS_WAITING = 250;

/** Malformed and unknown are one answer: neither was ever issued, as far as anyone outside can tell. */
const UNKNOWN: Validation = { valid: false, refusal: { reason: 'invalid' } };

interface Dependencies {
  database: Database;
  changes: Changes;
  membership: MembershipLookup;
  /** Longer than `membership` ever takes. */
  membershipLimitMs: number;
  lastUsed: LastUsed;
  prefix: string;
  cacheMaxBytes: number;
  /** Database connections that look-ups may use at once. */
  lookUpsAtOnce: number;
}

/**
 * Answers the question that every request of every customer asks: is this key good, and whose is it? From memory while the
 * change feed vouches for it, else from the database.
 */
export class KeyValidation {
  readonly #dependencies: Dependencies;
  readonly #find: ReturnType<typeof prepareFindForValidation>;
  readonly cache: LeasedCache<KnownKey>;
  /** For keys that were found here before, and those of which nothing is known: a flood of these must not starve the others. */
  readonly #budgets: { familiar: LookUpBudget; strange: LookUpBudget };

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    const { changes, cacheMaxBytes, lookUpsAtOnce } = dependencies;
    this.#find = prepareFindForValidation(dependencies.database);
    this.cache = new LeasedCache({
      changes,
      maxBytes: cacheMaxBytes,
      sizeOf: (key) => key.size,
      maxAbsent: UNKNOWN_KEYS_REMEMBERED,
      readLimitMs: LOOKUP_LIMIT_MS,
    });
    const half = Math.ceil(lookUpsAtOnce / 2);
    const budget = { atOnce: half, waiting: LOOKUPS_WAITING, patienceMs: WAITING_LIMIT_MS };
    this.#budgets = { familiar: new LookUpBudget(budget), strange: new LookUpBudget(budget) };
  }

  /**
   * A promise only where the database has to be asked.
   *
   * @throws ServiceError `database_unavailable` or `overloaded`: a failure to look is never an answer about the key
   */
  validate(origin: Origin, key: string): Validation | Promise<Validation> {
    const hash = hashKeyText(key);
    const known = this.cache.get(hash);
    if (known !== undefined) return this.#judge(origin, known);
    if (hasWrongChecksum(this.#dependencies.prefix, key)) return UNKNOWN;
    return this.#lookUp(hash).then((found) => this.#judge(origin, found));
  }

  /** Who the holder's organisation is to Clerk; never fails, never takes longer than Clerk's time limit. */
  membershipOf({ known }: KeyHolder): Membership | Promise<Membership> {
    const { membership, membershipLimitMs } = this.#dependencies;
    const found = membership(known.clerkOrgId);
    // It keeps its own limit, unless the whole process was stopped: then the key may be long revoked.
    return found instanceof Promise ? within(membershipLimitMs, found, databaseUnavailable) : found;
  }

  #judge(origin: Origin, known: KnownKey | null): Validation {
    if (known === null) return UNKNOWN;
    const now = Date.now();
    const refusal = refusalOf(known, now);
    if (refusal !== null) return { valid: false, refusal };
    const { id: apiKeyId, organizationId } = known;
    this.#dependencies.lastUsed.record(apiKeyId, now);
    const { requestId, address } = origin;
    return { valid: true, holder: { kind: 'apiKey', requestId, address, apiKeyId, organizationId, known } };
  }

  #lookUp(hash: string): Promise<KnownKey | null> {
    const budget = this.cache.has(hash) ? this.#budgets.familiar : this.#budgets.strange;
    return this.cache.read(hash, () =>
      budget.run(async () => {
        // For as long as it takes: its connection is not free before, whoever still waits.
        const facts = await this.#find(Buffer.from(hash, 'latin1'));
        if (facts === undefined) return { value: null, organizationId: null };
        return { value: new KnownKey(facts), organizationId: facts.organizationId };
      }),
    );
  }
}
