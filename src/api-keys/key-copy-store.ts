import { and, eq, type SQL, sql } from 'drizzle-orm';
import { type WrappedDataKey, wrappedDataKeyColumns } from '../data-keys/wrapped-data-key.ts';
import type { Queries } from '../database/queries.ts';
import { apiKeyCopies, apiKeys, dataKeys, organizations } from '../database/schema/index.ts';
import type { ApiKey } from './api-key.ts';

export interface CopyToInsert {
  apiKeyId: string;
  dataKeyId: string;
  sealed: Buffer;
  defaultOf: string | null;
}

/** A key with its copy; null where there is none. */
export interface KeyWithCopy extends Pick<ApiKey, 'id' | 'keyPrefix' | 'name' | 'enabled' | 'expiresAt' | 'revokedAt'> {
  organizationId: string;
  copy: { sealed: Buffer } | null;
  dataKey: WrappedDataKey | null;
}

export async function insertCopy(queries: Queries, copy: CopyToInsert): Promise<void> {
  await queries.insert(apiKeyCopies).values(copy);
}

/** Destroys the copy of a key, which stays. */
export async function removeCopy(queries: Queries, apiKeyId: string): Promise<void> {
  await queries.delete(apiKeyCopies).where(eq(apiKeyCopies.apiKeyId, apiKeyId));
}

export function findWithCopy(queries: Queries, clerkOrgId: string, id: string): Promise<KeyWithCopy | undefined> {
  return find(queries, and(eq(apiKeys.id, id), eq(organizations.clerkOrgId, clerkOrgId)));
}

/** The key that is an organisation's Default key, in whatever state. */
export function findDefaultKey(
  queries: Queries,
  which: { clerkOrgId: string } | { organizationId: string },
): Promise<KeyWithCopy | undefined> {
  const ofOrganization =
    'organizationId' in which
      ? eq(organizations.id, which.organizationId)
      : eq(organizations.clerkOrgId, which.clerkOrgId);
  return find(queries, and(ofOrganization, eq(apiKeyCopies.defaultOf, organizations.id)));
}

async function find(queries: Queries, which: SQL | undefined): Promise<KeyWithCopy | undefined> {
  const [row] = await queries
    .select({
      id: apiKeys.id,
      organizationId: apiKeys.organizationId,
      keyPrefix: apiKeys.keyPrefix,
      name: apiKeys.name,
      enabled: apiKeys.enabled,
      expiresAt: apiKeys.expiresAt,
      // As for a validation: the end of an organisation revokes its keys.
      revokedAt: sql<Date | null>`coalesce(${apiKeys.revokedAt}, ${organizations.endedAt})`.mapWith(apiKeys.revokedAt),
      copy: { sealed: apiKeyCopies.sealed },
      dataKey: wrappedDataKeyColumns,
    })
    .from(apiKeys)
    .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
    .leftJoin(apiKeyCopies, eq(apiKeyCopies.apiKeyId, apiKeys.id))
    .leftJoin(dataKeys, eq(dataKeys.id, apiKeyCopies.dataKeyId))
    .where(which);
  return row;
}

/** What of a key that is to be rotated has to be known before: whether its copy makes the new one recoverable, and whose it is. */
export async function findOwnerOfCopy(queries: Queries, clerkOrgId: string, id: string): Promise<string | undefined> {
  const [row] = await queries
    .select({ organizationId: apiKeys.organizationId })
    .from(apiKeyCopies)
    .innerJoin(apiKeys, eq(apiKeys.id, apiKeyCopies.apiKeyId))
    .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
    .where(and(eq(apiKeyCopies.apiKeyId, id), eq(organizations.clerkOrgId, clerkOrgId)));
  return row?.organizationId;
}

/** Of a key that is locked: undefined when it has no copy. */
export async function findCopyOf(queries: Queries, apiKeyId: string): Promise<{ isDefault: boolean } | undefined> {
  const [row] = await queries
    .select({ defaultOf: apiKeyCopies.defaultOf })
    .from(apiKeyCopies)
    .where(eq(apiKeyCopies.apiKeyId, apiKeyId));
  return row && { isDefault: row.defaultOf !== null };
}
