import type { ValidatedApiKey } from '../api-keys/api-key.ts';
import type { Membership } from '../organizations/membership.ts';
import { PreparedJson } from '../prepared-json.ts';
import type { RateLimit } from '../rate-limits/rate-limit.ts';
import { IpAllowList } from './ip-allow-list.ts';

/** What the holder of a valid key is told. */
export interface ValidationAnswer {
  valid: true;
  orgId: string;
  clerkOrgId: string;
  clerkUserId: string | null;
  configuredProviders: string[];
  membership: Membership['membership'];
  /** Last, and `remainingUses` last in it. */
  apiKey: Pick<ValidatedApiKey, 'id' | 'name' | 'environment' | 'scopes' | 'metadata'> & {
    expiresAt: string | null;
    remainingUses?: number;
  };
}

/**
 * A key as memory holds it: the facts that decide, and the answer as it was last given. What stands in the answer alone is
 * not kept beside it.
 */
export class KnownKey {
  readonly id: string;
  readonly organizationId: string;
  readonly clerkOrgId: string;
  readonly scopes: string[] | null;
  readonly enabled: boolean;
  /** Its organisation is. */
  readonly suspended: boolean;
  /** null: it may be used from anywhere. */
  readonly ipAllowList: IpAllowList | null;
  readonly rateLimit: RateLimit | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** What counts its uses; null where nothing does. */
  readonly usageLimitId: string | null;
  #clerkUserId: string | null = null;
  #membership: Membership['membership'] = 'unavailable';
  #answer: PreparedJson<ValidationAnswer>;

  constructor(facts: ValidatedApiKey) {
    this.id = facts.id;
    this.organizationId = facts.organizationId;
    this.clerkOrgId = facts.clerkOrgId;
    this.scopes = facts.scopes;
    this.enabled = facts.enabled;
    this.suspended = facts.suspended;
    this.ipAllowList = facts.ipAllowList === null ? null : new IpAllowList(facts.ipAllowList);
    this.rateLimit = facts.rateLimit;
    this.expiresAt = facts.expiresAt;
    this.revokedAt = facts.revokedAt;
    this.usageLimitId = facts.usageLimitId;
    this.#answer = new PreparedJson(answerOf(facts, this.#clerkUserId, this.#membership));
  }

  /**
   * Made anew only when something else is known of the organisation's members.
   *
   * @param remainingUses after this use; null where nothing counts them
   */
  answer({ clerkUserId, membership }: Membership, remainingUses: number | null): PreparedJson<ValidationAnswer> {
    if (membership !== this.#membership || clerkUserId !== this.#clerkUserId) {
      const last: ValidationAnswer = JSON.parse(this.#answer.text);
      this.#answer = new PreparedJson({ ...last, clerkUserId, membership });
      this.#clerkUserId = clerkUserId;
      this.#membership = membership;
    }
    if (remainingUses === null) return this.#answer;
    return this.#answer.withInserted(`,"remainingUses":${remainingUses}`, END_OF_ANSWER.length);
  }

  /** What it takes in memory, in bytes. */
  get size(): number {
    const { text } = this.#answer;
    // V8 keeps a text in one byte a character if it can, else in two.
    const bytesPerCharacter = /[\u0100-\uffff]/.test(text) ? 2 : 1;
    return (
      FIXED_BYTES +
      (text.length + LONGEST_USER_ID) * bytesPerCharacter +
      SCOPE_BYTES * (this.scopes?.length ?? 0) +
      (this.ipAllowList?.size ?? 0) +
      (this.rateLimit === null ? 0 : RATE_LIMIT_BYTES) +
      (this.usageLimitId === null ? 0 : USAGE_LIMIT_BYTES)
    );
  }
}

function answerOf(
  facts: ValidatedApiKey,
  clerkUserId: string | null,
  membership: Membership['membership'],
): ValidationAnswer {
  const { id, name, environment, scopes, metadata, expiresAt } = facts;
  return {
    valid: true,
    orgId: facts.organizationId,
    clerkOrgId: facts.clerkOrgId,
    clerkUserId,
    configuredProviders: facts.configuredProviders,
    membership,
    apiKey: { id, name, environment, scopes, metadata, expiresAt: expiresAt?.toISOString() ?? null },
  };
}

/** Of the key, which is the last member, and of the answer. */
const END_OF_ANSWER = '}}';
/** Everything but the answer's text and the lists, with the cache's own lists; `npm run bench -- growth` measures it. */
const FIXED_BYTES = 640;
/** Room for a user id of Clerk's, which the answer may come to hold. */
const LONGEST_USER_ID = 32;
/** A UUID as text. */
const USAGE_LIMIT_BYTES = 56;
/** A scope of a usual length, and its place in the list. */
const SCOPE_BYTES = 48;
/** An object of two numbers. */
const RATE_LIMIT_BYTES = 64;
