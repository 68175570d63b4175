import type { ApiKeyCaller, Origin } from '../caller.ts';
import type { Database } from '../database/database.ts';
import type { MembershipLookup } from '../organizations/membership.ts';
import type { LastUsed } from '../usage/last-used.ts';
import { type Refusal, refusalOf } from './api-key.ts';
import { findForValidation, type KeyForValidation } from './api-key-store.ts';
import { hashKey, hasWrongChecksum } from './key-format.ts';

/** The outcome of a validation is data: why a key is refused is as ordinary an answer as that it is good. */
export type Validation =
  | { valid: true; holder: KeyHolder }
  | { valid: false; refusal: Refusal | { reason: 'invalid' } };

/** The holder of a valid key, with what is known of it. */
export interface KeyHolder extends ApiKeyCaller, KeyForValidation {}

/** Validations promise an answer within a second when the database is gone; this leaves room to give it. */
const LOOKUP_LIMIT_MS = 750;

/** Malformed and unknown are one answer: neither was ever issued, as far as anyone outside can tell. */
const UNKNOWN: Validation = { valid: false, refusal: { reason: 'invalid' } };

interface Dependencies {
  database: Database;
  membership: MembershipLookup;
  lastUsed: LastUsed;
  prefix: string;
}

/** Answers the question that every request of every customer asks: is this key good, and whose is it? */
export class KeyValidation {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws ServiceError `database_unavailable`: a failure to look is never an answer about the key */
  async validate(origin: Origin, key: string, now = new Date()): Promise<Validation> {
    const { database, prefix, lastUsed } = this.#dependencies;
    if (hasWrongChecksum(prefix, key)) return UNKNOWN;
    const found = await database.query((queries) => findForValidation(queries, hashKey(key)), LOOKUP_LIMIT_MS);
    if (found === undefined) return UNKNOWN;
    const refusal = refusalOf(found.key, now);
    if (refusal !== null) return { valid: false, refusal };
    lastUsed.record(found.key.id, now);
    return { valid: true, holder: { ...origin, ...found, kind: 'apiKey', apiKeyId: found.key.id } };
  }

  /** Who the holder's organisation is to Clerk; never fails, never takes longer than Clerk's time limit. */
  membershipOf(holder: KeyHolder) {
    return this.#dependencies.membership(holder.clerkOrgId);
  }
}
