import { and, eq, exists, isNull, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { apiKeyCopies, apiKeys, apiKeyUses, organizations } from '../database/schema/index.ts';
import type { ApiKey, ApiKeySettings, UsedApiKey } from './api-key.ts';
import type { UsageLimit } from './usage-limit.ts';
import { type UsageLimitOfKey, usageLimitColumns } from './usage-limit-store.ts';

/** Everything about a key but its hash. */
export const columns = {
  id: apiKeys.id,
  keyPrefix: apiKeys.keyPrefix,
  last4: apiKeys.last4,
  name: apiKeys.name,
  environment: apiKeys.environment,
  enabled: apiKeys.enabled,
  scopes: apiKeys.scopes,
  metadata: apiKeys.metadata,
  ipAllowList: apiKeys.ipAllowList,
  expiresAt: apiKeys.expiresAt,
  ...usageLimitColumns,
  rateLimit: apiKeys.rateLimit,
  createdAt: apiKeys.createdAt,
  updatedAt: apiKeys.updatedAt,
  revision: apiKeys.revision,
  revokedAt: apiKeys.revokedAt,
  rotatedTo: apiKeys.rotatedTo,
  rotatedFrom: apiKeys.rotatedFrom,
};

export const columnsWithUse = {
  ...columns,
  lastUsedAt: apiKeyUses.lastUsedAt,
  recoverable: sql<boolean>`exists (select 1 from ${apiKeyCopies} where ${apiKeyCopies.apiKeyId} = ${apiKeys.id})`,
};

export type ApiKeyToInsert = Pick<
  ApiKey,
  'id' | 'keyPrefix' | 'last4' | 'environment' | 'rotatedFrom' | Exclude<keyof ApiKeySettings, keyof UsageLimit>
> &
  UsageLimitOfKey & {
    organizationId: string;
    keyHash: Buffer;
  };

export async function insertApiKey(queries: Queries, key: ApiKeyToInsert): Promise<ApiKey> {
  const [row] = await queries.insert(apiKeys).values(key).returning(columns);
  if (row === undefined) throw new Error('INSERT … RETURNING returned nothing');
  return row;
}

export async function findApiKey(queries: Queries, clerkOrgId: string, id: string): Promise<UsedApiKey | undefined> {
  const [row] = await queries
    .select(columnsWithUse)
    .from(apiKeys)
    .leftJoin(apiKeyUses, eq(apiKeyUses.id, apiKeys.id))
    .where(and(eq(apiKeys.id, id), ownedBy(queries, clerkOrgId)));
  return row;
}

/** A key with the organisation that it belongs to. */
export interface OwnedApiKey extends UsedApiKey {
  clerkOrgId: string;
}

export async function findApiKeyByHash(queries: Queries, keyHash: Buffer): Promise<OwnedApiKey | undefined> {
  const [row] = await queries
    .select({ ...columnsWithUse, clerkOrgId: organizations.clerkOrgId, endedAt: organizations.endedAt })
    .from(apiKeys)
    .leftJoin(apiKeyUses, eq(apiKeyUses.id, apiKeys.id))
    .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
    .where(eq(apiKeys.keyHash, keyHash));
  if (row === undefined) return undefined;
  const { endedAt, ...key } = row;
  // As for a validation: the end of an organisation revokes its keys.
  return { ...key, revokedAt: key.revokedAt ?? endedAt };
}

export interface RevokedApiKey {
  organizationId: string;
  keyHash: Buffer;
  /** It was not revoked before. */
  changed: boolean;
}

/** Revokes for good; a second time changes nothing. Undefined when the organisation has no such key. */
export async function revokeApiKey(
  queries: Queries,
  clerkOrgId: string,
  id: string,
): Promise<RevokedApiKey | undefined> {
  const which = and(eq(apiKeys.id, id), ownedBy(queries, clerkOrgId));
  const columns = { organizationId: apiKeys.organizationId, keyHash: apiKeys.keyHash };
  const [revoked] = await queries
    .update(apiKeys)
    .set({ revokedAt: sql`now()`, updatedAt: sql`now()`, revision: sql`${apiKeys.revision} + 1` })
    .where(and(which, isNull(apiKeys.revokedAt)))
    .returning(columns);
  if (revoked !== undefined) return { ...revoked, changed: true };
  const [before] = await queries.select(columns).from(apiKeys).where(which);
  return before && { ...before, changed: false };
}

function ownedBy(queries: Queries, clerkOrgId: string) {
  return exists(
    queries
      .select({ one: sql`1` })
      .from(organizations)
      .where(and(eq(organizations.id, apiKeys.organizationId), eq(organizations.clerkOrgId, clerkOrgId))),
  );
}
