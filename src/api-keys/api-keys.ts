import { uuidv7 } from 'uuidv7';
import type { Audit } from '../audit/audit.ts';
import type { Caller } from '../caller.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { type Environment, generateKey } from '../key-format.ts';
import { ensureOrganization } from '../organizations/organizations.ts';
import { type ListPosition, type ListRange, pageOf } from '../paging.ts';
import type { Json } from '../prepared-json.ts';
import type { RateLimit } from '../rate-limits/rate-limit.ts';
import type { UsedApiKey } from './api-key.ts';
import { findApiKey, insertApiKey, revokeApiKey } from './api-key-store.ts';
import { issuedEvent, revokedEvent } from './events.ts';
import { type ApiKeyFilter, listApiKeys } from './list-store.ts';
import { keyNotFound, requireUuid } from './not-found.ts';
import { requireLimitToRefill, type UsageLimit } from './usage-limit.ts';
import { insertUsageLimit } from './usage-limit-store.ts';

export interface NewApiKey extends UsageLimit {
  clerkOrgId: string;
  name: string | null;
  environment: Environment;
  expiresAt: Date | null;
  scopes: string[] | null;
  metadata: Record<string, Json>;
  ipAllowList: string[] | null;
  rateLimit: RateLimit | null;
}

/** Issues, lists and revokes the API keys of organisations, on behalf of the platform's services. */
export class ApiKeys {
  readonly #database: Database;
  readonly #audit: Audit;
  readonly #changes: Changes;
  readonly #prefix: string;

  constructor(database: Database, audit: Audit, changes: Changes, prefix: string) {
    this.#database = database;
    this.#audit = audit;
    this.#changes = changes;
    this.#prefix = prefix;
  }

  /**
   * @returns the item, and the key itself: the only time that it is known
   * @throws ServiceError `invalid_request` for a refill without a limit
   */
  async issue(
    caller: Caller,
    { clerkOrgId, remainingUses, refill, ...settings }: NewApiKey,
  ): Promise<{ key: string; apiKey: UsedApiKey }> {
    requireLimitToRefill({ remainingUses, refill });
    const { key, hash, keyPrefix, last4 } = generateKey(this.#prefix, settings.environment);
    const apiKey = await this.#audit.change(caller, async (queries) => {
      const organizationId = await ensureOrganization(queries, clerkOrgId);
      const result = await insertApiKey(queries, {
        ...settings,
        ...(await insertUsageLimit(queries, { remainingUses, refill })),
        enabled: true,
        rotatedFrom: null,
        id: uuidv7(),
        organizationId,
        keyHash: hash,
        keyPrefix,
        last4,
      });
      return { result, events: [issuedEvent(organizationId, result)] };
    });
    this.#changes.announce({ kind: 'api-key-created', keyHash: keyHashOf(hash) });
    return { key, apiKey: { ...apiKey, lastUsedAt: null } };
  }

  /** @throws ServiceError `api_key_not_found`, for an unknown key and another organisation's alike */
  async get(_caller: Caller, clerkOrgId: string, id: string, limitMs?: number): Promise<UsedApiKey> {
    requireUuid(id);
    const apiKey = await this.#database.query((queries) => findApiKey(queries, clerkOrgId, id), limitMs);
    return apiKey ?? keyNotFound();
  }

  /** Newest first. */
  async list(
    _caller: Caller,
    clerkOrgId: string,
    filter: ApiKeyFilter,
    range: ListRange,
  ): Promise<{ page: UsedApiKey[]; next: ListPosition | null }> {
    return pageOf(range, (part) => this.#database.query((queries) => listApiKeys(queries, clerkOrgId, filter, part)));
  }

  /**
   * Revokes for good. Again: no error. Once it is answered this replica refuses the key; the others do when the database
   * has told them, within milliseconds, and after the length of the lease whatever happens.
   *
   * @throws ServiceError `api_key_not_found`
   */
  async revoke(caller: Caller, clerkOrgId: string, id: string, limitMs?: number): Promise<void> {
    requireUuid(id);
    const keyHash = await this.#audit.change(
      caller,
      async (queries) => {
        const revoked = await revokeApiKey(queries, clerkOrgId, id);
        if (!revoked?.changed) return { result: revoked?.keyHash, events: [] };
        return { result: revoked.keyHash, events: [revokedEvent(revoked.organizationId, id.toLowerCase())] };
      },
      limitMs,
    );
    if (keyHash === undefined) keyNotFound();
    this.#changes.announce({ kind: 'api-key-revoked', keyHash: keyHashOf(keyHash) });
  }
}
