import { and, asc, eq, gt, inArray, isNotNull, lt, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { dataKeys, organizations } from '../database/schema/index.ts';
import { currentOf, type OwnerId, ownedBy } from './data-key-store.ts';
import { type WrappedDataKey, wrappedDataKeyColumns } from './wrapped-data-key.ts';

/** The database's own clock, which also says when a data key was made. */
export async function databaseTime(queries: Queries): Promise<Date> {
  const { rows } = await queries.execute<{ ms: string }>(
    sql`select floor(extract(epoch from clock_timestamp()) * 1000)::text as ms`,
  );
  return new Date(Number(rows[0]?.ms));
}

export async function countOwners(queries: Queries): Promise<number> {
  const [row] = await queries
    .select({ count: sql<number>`count(distinct ${dataKeys.organizationId})`.mapWith(Number) })
    .from(dataKeys);
  return row?.count ?? 0;
}

/** Organisations that have data keys, in the order of their ids. */
export async function listOrganizations(queries: Queries, after: string | null, limit: number): Promise<string[]> {
  const rows = await queries
    .select({ id: dataKeys.organizationId })
    .from(dataKeys)
    .where(and(isNotNull(dataKeys.organizationId), after === null ? undefined : gt(dataKeys.organizationId, after)))
    .groupBy(dataKeys.organizationId)
    .orderBy(asc(dataKeys.organizationId))
    .limit(limit);
  return rows.flatMap(({ id }) => id ?? []);
}

export async function hasCurrentMadeBefore(queries: Queries, owner: OwnerId, instant: Date): Promise<boolean> {
  const rows = await queries
    .select({ id: dataKeys.id })
    .from(dataKeys)
    .where(and(currentOf(owner), lt(dataKeys.createdAt, instant)));
  return rows.length > 0;
}

/**
 * Puts a new data key in the place of the current one, in a transaction, unless that was made since. It waits for the
 * transactions that store what the old one sealed, and whoever wants to store such a thing after it learns that it is
 * retired. An organisation's row comes before its data keys, as it does where the organisation ends.
 */
export async function replaceCurrent(
  queries: Queries,
  owner: OwnerId,
  madeBefore: Date,
  fresh: WrappedDataKey,
): Promise<void> {
  if (owner !== null) {
    await queries
      .select({ id: organizations.id })
      .from(organizations)
      .where(eq(organizations.id, owner))
      .for('key share');
  }
  const [old] = await queries
    .select({ id: dataKeys.id })
    .from(dataKeys)
    .where(and(currentOf(owner), lt(dataKeys.createdAt, madeBefore)))
    .for('update');
  if (old === undefined) return;
  await queries.update(dataKeys).set({ retiredAt: sql`now()` }).where(eq(dataKeys.id, old.id));
  await queries.insert(dataKeys).values({ ...fresh, createdAt: sql`clock_timestamp()` });
}

export async function listRetired(queries: Queries, owner: OwnerId): Promise<WrappedDataKey[]> {
  return queries
    .select(wrappedDataKeyColumns)
    .from(dataKeys)
    .where(and(ownedBy(owner), isNotNull(dataKeys.retiredAt)));
}

/** Locks retired data keys, in a transaction: nothing more can be stored that they sealed. */
export async function lockRetired(queries: Queries, owner: OwnerId): Promise<string[]> {
  const rows = await queries
    .select({ id: dataKeys.id })
    .from(dataKeys)
    .where(and(ownedBy(owner), isNotNull(dataKeys.retiredAt)))
    .orderBy(asc(dataKeys.id))
    .for('update');
  return rows.map(({ id }) => id);
}

export async function removeDataKeys(queries: Queries, ids: readonly string[]): Promise<number> {
  const { rowCount } = await queries.delete(dataKeys).where(inArray(dataKeys.id, [...ids]));
  return rowCount ?? 0;
}
