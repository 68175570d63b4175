import { uuidv7 } from 'uuidv7';
import type { Answering } from '../answering.ts';
import type { Audit } from '../audit/audit.ts';
import type { Caller } from '../caller.ts';
import type { SealingKey } from '../data-keys/data-keys.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { type Environment, generateKey } from '../key-format.ts';
import { ensureOrganization } from '../organizations/organizations.ts';
import { type ListPosition, type ListRange, pageOf } from '../paging.ts';
import type { Json } from '../prepared-json.ts';
import type { RateLimit } from '../rate-limits/rate-limit.ts';
import { requireFuture } from '../require-future.ts';
import type { UsedApiKey } from './api-key.ts';
import { findApiKey, insertApiKey, revokeApiKey } from './api-key-store.ts';
import { issuedEvent, revokedEvent } from './events.ts';
import type { KeyCopies } from './key-copies.ts';
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
  /** Whether a sealed copy is kept. */
  recoverable: boolean;
}

interface Dependencies {
  database: Database;
  audit: Audit;
  changes: Changes;
  copies: KeyCopies;
  prefix: string;
}

export interface IssuedApiKey {
  key: string;
  apiKey: UsedApiKey;
}

/** Issues, lists and revokes the API keys of organisations, on behalf of the platform's services. */
export class ApiKeys {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * The answer is made of the item and the key itself: the only time that it is known, unless it is recoverable.
   *
   * @throws ServiceError `organization_deleted`; `invalid_request` for a refill without a limit and an expiry that has passed;
   * `encryption_unavailable` for a recoverable one
   */
  async issue<R>(caller: Caller, wanted: NewApiKey, answering: Answering<IssuedApiKey, R>): Promise<R> {
    requireFuture([{ pointer: '/expiresAt', instant: wanted.expiresAt }]);
    requireLimitToRefill(wanted);
    if (!wanted.recoverable) return this.#issue(caller, wanted, { sealing: null, answering });
    const { database, copies } = this.#dependencies;
    const organizationId = await database.query((queries) => ensureOrganization(queries, wanted.clerkOrgId));
    return copies.withDataKey(organizationId, (sealing, limitMs) =>
      this.#issue(caller, wanted, { sealing, answering, limitMs }),
    );
  }

  async #issue<R>(
    caller: Caller,
    { clerkOrgId, recoverable, remainingUses, refill, ...settings }: NewApiKey,
    {
      sealing,
      answering,
      limitMs,
    }: { sealing: SealingKey | null; answering: Answering<IssuedApiKey, R>; limitMs?: number },
  ): Promise<R> {
    const { audit, changes, copies, prefix } = this.#dependencies;
    const { key, hash, keyPrefix, last4 } = generateKey(prefix, settings.environment);
    const answer = await audit.change(
      caller,
      async (queries) => {
        await answering.begin(queries);
        const organizationId = await ensureOrganization(queries, clerkOrgId);
        const apiKey = await insertApiKey(queries, {
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
        if (sealing !== null) {
          await copies.keep(queries, sealing, { id: apiKey.id, organizationId, key, isDefault: false });
        }
        const result = await answering.conclude(queries, { key, apiKey: { ...apiKey, lastUsedAt: null, recoverable } });
        return { result, events: [issuedEvent(organizationId, apiKey, { recoverable })] };
      },
      limitMs,
    );
    changes.announce({ kind: 'api-key-created', keyHash: keyHashOf(hash) });
    return answer;
  }

  /** @throws ServiceError `api_key_not_found`, for an unknown key and another organisation's alike */
  async get(_caller: Caller, clerkOrgId: string, id: string, limitMs?: number): Promise<UsedApiKey> {
    requireUuid(id);
    const apiKey = await this.#dependencies.database.query((queries) => findApiKey(queries, clerkOrgId, id), limitMs);
    return apiKey ?? keyNotFound();
  }

  /** Newest first. */
  async list(
    _caller: Caller,
    clerkOrgId: string,
    filter: ApiKeyFilter,
    range: ListRange,
  ): Promise<{ page: UsedApiKey[]; next: ListPosition | null }> {
    const { database } = this.#dependencies;
    return pageOf(range, (part) => database.query((queries) => listApiKeys(queries, clerkOrgId, filter, part)));
  }

  /**
   * Revokes for good. Again: no error. Once it is answered this replica refuses the key; the others do when the database
   * has told them, within milliseconds, and after the length of the lease whatever happens.
   *
   * @throws ServiceError `api_key_not_found`
   */
  async revoke(caller: Caller, clerkOrgId: string, id: string, limitMs?: number): Promise<void> {
    requireUuid(id);
    const { audit, changes } = this.#dependencies;
    const keyHash = await audit.change(
      caller,
      async (queries) => {
        const revoked = await revokeApiKey(queries, clerkOrgId, id);
        if (!revoked?.changed) return { result: revoked?.keyHash, events: [] };
        return { result: revoked.keyHash, events: [revokedEvent(revoked.organizationId, id.toLowerCase())] };
      },
      limitMs,
    );
    if (keyHash === undefined) keyNotFound();
    changes.announce({ kind: 'api-key-revoked', keyHash: keyHashOf(keyHash) });
  }
}
