import { and, asc, eq, gte, isNull, lt, type SQL, sql } from 'drizzle-orm';
import { type WrappedDataKey, wrappedDataKeyColumns } from '../data-keys/wrapped-data-key.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { dataKeys, organizations, providerKeys, providerKeyUses, providerKeyVersions } from '../database/schema.ts';

/** The row of an organisation's key for one provider, locked until the transaction ends. */
export interface LockedRow {
  id: string;
  /** The newest version there ever was; 0 before the first. */
  version: number;
  deletedAt: Date | null;
}

/** A secret as it rests, with all that opening it takes. */
export interface SealedRow {
  id: string;
  organizationId: string;
  provider: string;
  version: number;
  sealed: Buffer;
  dataKey: WrappedDataKey;
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
}

/** Which organisation: as the platform's services name it, or as an API key's holder is known. */
export type Owner = { clerkOrgId: string } | { organizationId: string };

/**
 * Finds or makes the row, and locks it: two saves for one provider happen one after the other. The insert gives way to
 * a concurrent one, which the second look then waits for.
 */
export async function lockRow(
  queries: Queries,
  row: { id: string; organizationId: string; provider: string },
): Promise<LockedRow> {
  const look = () =>
    queries
      .select({ id: providerKeys.id, version: providerKeys.version, deletedAt: providerKeys.deletedAt })
      .from(providerKeys)
      .where(and(eq(providerKeys.organizationId, row.organizationId), eq(providerKeys.provider, row.provider)))
      .for('no key update');
  const [found] = await look();
  if (found !== undefined) return found;
  await queries.insert(providerKeys).values(row).onConflictDoNothing();
  const [made] = await look();
  if (made === undefined) throw new Error('A provider key row is missing right after it was made');
  return made;
}

/** Stores the next version and destroys the ones before it, in one statement: a replaced secret is gone at once. */
export async function storeVersion(
  queries: Queries,
  row: LockedRow,
  { version, dataKeyId, sealed }: { version: number; dataKeyId: string; sealed: Buffer },
): Promise<void> {
  const createdAt = isLive(row) ? sql`created_at` : sql`now()`;
  await queries.execute(sql`
    with stored as (
      insert into ${providerKeyVersions} (provider_key_id, version, data_key_id, sealed)
      values (${row.id}, ${version}, ${dataKeyId}, ${sealed})
    ), destroyed as (
      delete from ${providerKeyVersions} where provider_key_id = ${row.id} and version < ${version}
    )
    update ${providerKeys} set version = ${version}, updated_at = now(), created_at = ${createdAt}, deleted_at = null
    where id = ${row.id}`);
}

/** Whether the row holds a secret. */
export function isLive(row: LockedRow): boolean {
  return row.version > 0 && row.deletedAt === null;
}

export async function findSealed(queries: Queries, owner: Owner, provider: string): Promise<SealedRow | undefined> {
  const [row] = await selectSealed(queries, and(ownedBy(owner), eq(providerKeys.provider, provider)));
  return row;
}

/** The same for an API key's holder, planned once. */
export function prepareFindForHolder(
  database: Database,
): (which: { organizationId: string; provider: string }) => Promise<SealedRow | undefined> {
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
export async function listSealed(queries: Queries, owner: Owner): Promise<SealedRow[]> {
  return selectSealed(queries, ownedBy(owner));
}

/** Destroys the secret in every version and keeps the row. Null when there was none. */
export async function destroySecret(
  queries: Queries,
  clerkOrgId: string,
  provider: string,
): Promise<{ organizationId: string } | null> {
  const [row] = await queries
    .update(providerKeys)
    .set({ deletedAt: sql`now()`, updatedAt: sql`now()` })
    .from(organizations)
    .where(
      and(
        eq(organizations.id, providerKeys.organizationId),
        eq(organizations.clerkOrgId, clerkOrgId),
        eq(providerKeys.provider, provider),
        isNull(providerKeys.deletedAt),
      ),
    )
    .returning({
      id: providerKeys.id,
      organizationId: providerKeys.organizationId,
      version: providerKeys.version,
    });
  if (row === undefined) return null;
  await destroyVersionsBefore(queries, row.id, row.version + 1);
  return { organizationId: row.organizationId };
}

async function destroyVersionsBefore(queries: Queries, providerKeyId: string, version: number): Promise<void> {
  await queries
    .delete(providerKeyVersions)
    .where(and(eq(providerKeyVersions.providerKeyId, providerKeyId), lt(providerKeyVersions.version, version)));
}

function selectSealed(queries: Queries, where: SQL | undefined) {
  return (
    queries
      .select({
        id: providerKeys.id,
        organizationId: providerKeys.organizationId,
        provider: providerKeys.provider,
        version: providerKeys.version,
        sealed: providerKeyVersions.sealed,
        dataKey: wrappedDataKeyColumns,
        createdAt: providerKeys.createdAt,
        updatedAt: providerKeys.updatedAt,
        lastUsedAt: providerKeyUses.lastUsedAt,
      })
      .from(providerKeys)
      .innerJoin(organizations, eq(organizations.id, providerKeys.organizationId))
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

function ownedBy(owner: Owner): SQL {
  return 'clerkOrgId' in owner
    ? eq(organizations.clerkOrgId, owner.clerkOrgId)
    : eq(organizations.id, owner.organizationId);
}
