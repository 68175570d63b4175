import { uuidv7 } from 'uuidv7';
import type { Answering } from '../answering.ts';
import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { Caller } from '../caller.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import { ServiceError } from '../errors.ts';
import { ensureOrganizations } from '../organizations/organizations.ts';
import { rateLimitText } from '../rate-limits/rate-limit.ts';
import { requireFuture } from '../require-future.ts';
import type { ApiKey, ApiKeySettings } from './api-key.ts';
import { type InsertedApiKey, insertNewApiKeys } from './import-store.ts';
import { limitDetails } from './usage-limit.ts';

/** A key that was issued elsewhere: its hash, and what is to be shown of it and to hold for it. */
export interface ImportedKey extends ApiKeySettings, Pick<ApiKey, 'environment' | 'keyPrefix' | 'last4'> {
  clerkOrgId: string;
  /** SHA-256 of the whole key, 32 bytes. */
  keyHash: Buffer;
}

/** What became of an item: `duplicate` says nothing of who has that key. */
export type ImportResult = { status: 'imported'; id: string } | { status: 'duplicate' };

/** Takes over keys from elsewhere by their hashes. */
export class KeyImports {
  readonly #audit: Audit;
  readonly #changes: Changes;

  constructor(audit: Audit, changes: Changes) {
    this.#audit = audit;
    this.#changes = changes;
  }

  /**
   * All in one transaction. A key whose hash is known already, as any organisation's or from an earlier item, is left as it
   * is. Once it is answered this replica validates the new ones; the others do as soon as the database has told them.
   *
   * The answer is made of a result for each item, in their order.
   *
   * @throws ServiceError `organization_deleted`, which names the first item of one; `invalid_request` for an expiry that has
   * passed
   */
  async import<R>(caller: Caller, keys: readonly ImportedKey[], answering: Answering<ImportResult[], R>): Promise<R> {
    requireFuture(keys.map(({ expiresAt }, place) => ({ pointer: `/keys/${place}/expiresAt`, instant: expiresAt })));
    const wanted = keys.map((key) => ({ ...key, id: uuidv7(), rotatedFrom: null }));
    const first = new Map(wanted.toReversed().map((key) => [keyHashOf(key.keyHash), key]));
    const { answer, isNew } = await this.#audit.change(caller, async (queries) => {
      await answering.begin(queries);
      const organizations = await ensureOrganizations(
        queries,
        keys.map(({ clerkOrgId }) => clerkOrgId),
      );
      const rows = [...first.values()].map(({ clerkOrgId, ...key }) => ({
        ...key,
        organizationId: organizations.get(clerkOrgId) ?? ended(keys, clerkOrgId),
      }));
      const inserted = await insertNewApiKeys(queries, rows);
      const isNew = new Set(inserted.map(({ id }) => id));
      const results = wanted.map(({ id }) => resultOf(id, isNew));
      const answer = await answering.conclude(queries, results);
      return { result: { answer, isNew }, events: inserted.map(importedEvent) };
    });
    for (const { id, keyHash } of wanted) {
      if (isNew.has(id)) this.#changes.announce({ kind: 'api-key-created', keyHash: keyHashOf(keyHash) });
    }
    return answer;
  }
}

function resultOf(id: string, isNew: ReadonlySet<string>): ImportResult {
  return isNew.has(id) ? { status: 'imported', id } : { status: 'duplicate' };
}

function ended(keys: readonly ImportedKey[], clerkOrgId: string): never {
  const place = keys.findIndex((key) => key.clerkOrgId === clerkOrgId);
  throw new ServiceError(
    'organization_deleted',
    `The organisation of /keys/${place} was deleted, so that nothing was imported. Leave its keys out.`,
    { context: { item: place } },
  );
}

function importedEvent(key: InsertedApiKey): AuditEntry {
  const { organizationId, id, environment, scopes, expiresAt, enabled, rateLimit, remainingUses, refill, ipAllowList } =
    key;
  return {
    organizationId,
    action: 'api_key.imported',
    target: { type: 'api-key', id },
    details: {
      environment,
      scopes,
      expiresAt: expiresAt?.toISOString() ?? null,
      enabled,
      ...(rateLimit === null ? {} : { rateLimit: rateLimitText(rateLimit) }),
      ...(remainingUses === null ? {} : limitDetails({ remainingUses, refill })),
      ...(ipAllowList === null ? {} : { ipAllowList }),
    },
  };
}
