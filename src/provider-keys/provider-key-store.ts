import { and, asc, desc, eq, exists, gte, inArray, isNull, notExists, or, type SQL, sql } from 'drizzle-orm';
import { type WrappedDataKey, wrappedDataKeyColumns } from '../data-keys/wrapped-data-key.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import {
  dataKeys,
  organizations,
  providerKeySources,
  providerKeys,
  providerKeyUses,
  providerKeyVersions,
} from '../database/schema/index.ts';
import type { KeyState } from './key-state.ts';
import { type Owner, PLATFORM } from './owner.ts';

/** A secret as it rests, with all that opening it takes. */
export interface SealedRow {
  /** Of the key, whichever version. */
  id: string;
  /** null: the platform's. */
  organizationId: string | null;
  provider: string;
  version: number;
  sealed: Buffer;
  dataKey: WrappedDataKey;
}

/** A key with its current secret. */
export interface CurrentRow extends SealedRow, KeyState {
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
}

/** A version that is kept. */
export interface VersionRow extends SealedRow, KeyState {
  /** When it was saved. */
  createdAt: Date;
  isCurrent: boolean;
}

const sealedColumns = {
  id: providerKeys.id,
  organizationId: providerKeys.organizationId,
  provider: providerKeys.provider,
  version: providerKeyVersions.version,
  sealed: providerKeyVersions.sealed,
  dataKey: wrappedDataKeyColumns,
};

const stateColumns = {
  status: providerKeyVersions.status,
  lastCheckedAt: providerKeyVersions.lastCheckedAt,
};

export async function findSealed(queries: Queries, owner: Owner, provider: string): Promise<CurrentRow | undefined> {
  const [row] = await selectSealed(queries, and(ownedBy(queries, owner), eq(providerKeys.provider, provider)));
  return row;
}

/** The row of a key, with a secret or without; undefined where there never was one. */
export async function findRowId(queries: Queries, owner: Owner, provider: string): Promise<string | undefined> {
  const [row] = await queries
    .select({ id: providerKeys.id })
    .from(providerKeys)
    .where(and(ownedBy(queries, owner), eq(providerKeys.provider, provider)));
  return row?.id;
}

/**
 * What a service is handed for an organisation: its own key or the platform's, as its source for the provider says.
 * `handedTo` is the organisation.
 */
export async function findForService(
  queries: Queries,
  clerkOrgId: string,
  provider: string,
): Promise<(CurrentRow & { handedTo: string }) | undefined> {
  const ofProvider = eq(providerKeys.provider, provider);
  const own = selectSealed(
    queries,
    and(ownedBy(queries, { clerkOrgId }), ofProvider, notExists(sourceOf(queries, clerkOrgId, provider, 'platform'))),
  );
  const platforms = selectSealed(
    queries,
    and(ownedBy(queries, PLATFORM), ofProvider, exists(sourceOf(queries, clerkOrgId, provider))),
  );
  // In one statement, so that a source that changes meanwhile leaves nobody with neither.
  const rows = await own.unionAll(platforms);
  const row = rows.find(({ organizationId }) => organizationId !== null) ?? rows[0];
  if (row === undefined) return undefined;
  const handedTo = row.organizationId ?? (await findOrganization(queries, clerkOrgId));
  return handedTo === undefined ? undefined : { ...row, handedTo };
}

/** The same for an API key's holder, planned once. */
export function prepareFindForHolder(
  database: Database,
): (which: { organizationId: string; provider: string }) => Promise<CurrentRow | undefined> {
  const find = database.prepare('provider_key_for_holder', (queries) =>
    selectSealed(
      queries,
      and(
        eq(providerKeys.organizationId, sql.placeholder('organizationId')),
        eq(providerKeys.provider, sql.placeholder('provider')),
      ),
    ),
  );
  return async (which) => (await find(which))[0];
}

/** All of an organisation's, sorted by provider. */
export async function listSealed(queries: Queries, owner: Owner): Promise<CurrentRow[]> {
  return selectSealed(queries, ownedBy(queries, owner));
}

/** Newest first: all that are kept, or the current one and the one that is asked for. */
export async function listVersions(
  queries: Queries,
  owner: Owner,
  provider: string,
  version?: number,
): Promise<VersionRow[]> {
  const isCurrent = eq(providerKeyVersions.version, providerKeys.version);
  return queries
    .select({
      ...sealedColumns,
      ...stateColumns,
      createdAt: providerKeyVersions.createdAt,
      isCurrent: sql<boolean>`${isCurrent}`,
    })
    .from(providerKeys)
    .innerJoin(providerKeyVersions, eq(providerKeyVersions.providerKeyId, providerKeys.id))
    .innerJoin(dataKeys, eq(dataKeys.id, providerKeyVersions.dataKeyId))
    .where(
      and(
        ownedBy(queries, owner),
        eq(providerKeys.provider, provider),
        isNull(providerKeys.deletedAt),
        version === undefined ? undefined : or(isCurrent, eq(providerKeyVersions.version, version)),
      ),
    )
    .orderBy(desc(providerKeyVersions.version));
}

function selectSealed(queries: Queries, where: SQL | undefined) {
  return (
    queries
      .select({
        ...sealedColumns,
        ...stateColumns,
        createdAt: providerKeys.createdAt,
        updatedAt: providerKeys.updatedAt,
        lastUsedAt: providerKeyUses.lastUsedAt,
      })
      .from(providerKeys)
      .innerJoin(
        providerKeyVersions,
        and(
          eq(providerKeyVersions.providerKeyId, providerKeys.id),
          eq(providerKeyVersions.version, providerKeys.version),
        ),
      )
      .innerJoin(dataKeys, eq(dataKeys.id, providerKeyVersions.dataKeyId))
      // A use from before the secret was destroyed says nothing about the one that was saved since.
      .leftJoin(
        providerKeyUses,
        and(eq(providerKeyUses.id, providerKeys.id), gte(providerKeyUses.lastUsedAt, providerKeys.createdAt)),
      )
      .where(and(where, isNull(providerKeys.deletedAt)))
      .orderBy(asc(sql`${providerKeys.provider} collate "C"`))
  );
}

/** Rows of `provider_keys`. */
export function ownedBy(queries: Queries, owner: Owner): SQL {
  if ('clerkOrgId' in owner) {
    const named = queries
      .select({ id: organizations.id })
      .from(organizations)
      .where(eq(organizations.clerkOrgId, owner.clerkOrgId));
    return inArray(providerKeys.organizationId, named);
  }
  const { organizationId } = owner;
  return organizationId === null
    ? isNull(providerKeys.organizationId)
    : eq(providerKeys.organizationId, organizationId);
}

async function findOrganization(queries: Queries, clerkOrgId: string): Promise<string | undefined> {
  const [row] = await queries
    .select({ id: organizations.id })
    .from(organizations)
    .where(eq(organizations.clerkOrgId, clerkOrgId));
  return row?.id;
}

/** A living organisation's source for a provider, if it is not its own key alone; with `source`, if it is this one. */
function sourceOf(queries: Queries, clerkOrgId: string, provider: string, source?: 'platform') {
  return queries
    .select({ one: sql`1` })
    .from(providerKeySources)
    .innerJoin(organizations, eq(organizations.id, providerKeySources.organizationId))
    .where(
      and(
        eq(organizations.clerkOrgId, clerkOrgId),
        isNull(organizations.endedAt),
        eq(providerKeySources.provider, provider),
        source === undefined ? undefined : eq(providerKeySources.source, source),
      ),
    );
}
