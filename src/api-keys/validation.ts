import type { ApiKeyCaller, Origin } from '../caller.ts';
import type { Database } from '../database/database.ts';
import type { MembershipLookup } from '../organizations/membership.ts';
import type { LastUsed } from '../usage/last-used.ts';
import { type ApiKeyStatus, apiKeyStatus } from './api-key.ts';
import { findForValidation, type KeyForValidation } from './api-key-store.ts';
import { hashKey, isForged } from './key-format.ts';

/** The outcome of a validation is data: why a key is refused is as ordinary an answer as that it is good. */
export type Validation =
  | { valid: true; holder: KeyHolder }
  | { valid: false; reason: 'invalid' | Exclude<ApiKeyStatus, 'active'>; expiredAt: Date | null };

/** The holder of a valid key, with what is known of it. */
export interface KeyHolder extends ApiKeyCaller, KeyForValidation {}

/** Validations promise an answer within a second when the database is gone; this leaves room to give it. */
const LOOKUP_LIMIT_MS = 750;

interface Dependencies {
  database: Database;
  membership: MembershipLookup;
  lastUsed: LastUsed;
  prefix: string;
  onOutcome: (outcome: 'valid' | 'invalid' | ApiKeyStatus | 'error') => void;
}

/** Answers the question that every request of every customer asks: is this key good, and whose is it? */
export class KeyValidation {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws ServiceError `database_unavailable`: a failure to look is never an answer about the key */
  async validate(origin: Origin, key: string, now = new Date()): Promise<Validation> {
    const { onOutcome } = this.#dependencies;
    try {
      const validation = await this.#judge(origin, key, now);
      onOutcome(validation.valid ? 'valid' : validation.reason);
      return validation;
    } catch (error) {
      onOutcome('error');
      throw error;
    }
  }

  /** Who the holder's organisation is to Clerk; never fails, never takes longer than Clerk's time limit. */
  membershipOf(holder: KeyHolder) {
    return this.#dependencies.membership(holder.clerkOrgId);
  }

  async #judge(origin: Origin, key: string, now: Date): Promise<Validation> {
    const { database, prefix, lastUsed } = this.#dependencies;
    if (isForged(prefix, key)) return { valid: false, reason: 'invalid', expiredAt: null };
    const found = await database.query((queries) => findForValidation(queries, hashKey(key)), LOOKUP_LIMIT_MS);
    if (found === undefined) return { valid: false, reason: 'invalid', expiredAt: null };
    const status = apiKeyStatus(found.key, now);
    if (status !== 'active') return { valid: false, reason: status, expiredAt: found.key.expiresAt };
    lastUsed.record(found.key.id, now);
    return { valid: true, holder: { ...origin, ...found, kind: 'apiKey', apiKeyId: found.key.id } };
  }
}
