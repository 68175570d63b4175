import { and, count, eq, gte, isNull, lt, type SQL, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { dataKeys } from '../database/schema.ts';
import { type WrappedDataKey, wrappedDataKeyColumns } from './wrapped-data-key.ts';

/** Takes one seal from the organisation's current data key; undefined when it has none, or none left to take. */
export async function takeSeal(
  queries: Queries,
  organizationId: string,
  maxSeals: number,
): Promise<WrappedDataKey | undefined> {
  const [row] = await queries
    .update(dataKeys)
    .set({ seals: sql`${dataKeys.seals} + 1` })
    .where(and(eq(dataKeys.organizationId, organizationId), isNull(dataKeys.retiredAt), lt(dataKeys.seals, maxSeals)))
    .returning(wrappedDataKeyColumns);
  return row;
}

/** Retires the current data key when it has no seal left; another replica's newer one has, and stays. */
export async function retireSpent(queries: Queries, organizationId: string, maxSeals: number): Promise<void> {
  await retireWhere(queries, and(eq(dataKeys.organizationId, organizationId), gte(dataKeys.seals, maxSeals)));
}

export async function retire(queries: Queries, id: string): Promise<void> {
  await retireWhere(queries, eq(dataKeys.id, id));
}

async function retireWhere(queries: Queries, which: SQL | undefined): Promise<void> {
  await queries
    .update(dataKeys)
    .set({ retiredAt: sql`now()` })
    .where(and(which, isNull(dataKeys.retiredAt)));
}

/** Stores a new data key unless another replica was first: there is one current key per owner, always. */
export async function insertUnlessPresent(queries: Queries, dataKey: WrappedDataKey): Promise<void> {
  await queries.insert(dataKeys).values(dataKey).onConflictDoNothing();
}

export async function findSystemKey(queries: Queries): Promise<WrappedDataKey | undefined> {
  const [row] = await queries
    .select(wrappedDataKeyColumns)
    .from(dataKeys)
    .where(and(eq(dataKeys.purpose, 'system'), isNull(dataKeys.retiredAt)));
  return row;
}

/** How many data keys each master key wraps. */
export async function countByMasterKey(queries: Queries): Promise<{ masterKeyId: string; count: number }[]> {
  return queries
    .select({ masterKeyId: dataKeys.masterKeyId, count: count() })
    .from(dataKeys)
    .groupBy(dataKeys.masterKeyId)
    .orderBy(dataKeys.masterKeyId);
}
