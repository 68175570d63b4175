import { and, count, eq, gt, isNull, lte, type SQL, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { dataKeys } from '../database/schema/index.ts';
import { type WrappedDataKey, wrappedDataKeyColumns } from './wrapped-data-key.ts';

/** Whose data key: an organisation's by its row id; null is `system`, of what belongs to no organisation. */
export type OwnerId = string | null;

/** Takes so many seals from the owner's current data key; undefined when it has none, or not as many left. */
export async function takeSeals(
  queries: Queries,
  owner: OwnerId,
  seals: number,
  maxSeals: number,
): Promise<WrappedDataKey | undefined> {
  const [row] = await queries
    .update(dataKeys)
    .set({ seals: sql`${dataKeys.seals} + ${seals}` })
    .where(and(currentOf(owner), lte(dataKeys.seals, maxSeals - seals)))
    .returning(wrappedDataKeyColumns);
  return row;
}

/** Retires the current data key when it has too few seals left; another replica's newer one has, and stays. */
export async function retireSpent(queries: Queries, owner: OwnerId, seals: number, maxSeals: number): Promise<void> {
  await retireWhere(queries, and(currentOf(owner), gt(dataKeys.seals, maxSeals - seals)));
}

/** @returns whether it was current until now */
export async function retire(queries: Queries, id: string): Promise<boolean> {
  return (await retireWhere(queries, and(eq(dataKeys.id, id), isNull(dataKeys.retiredAt)))) > 0;
}

async function retireWhere(queries: Queries, which: SQL | undefined): Promise<number> {
  const retired = await queries
    .update(dataKeys)
    .set({ retiredAt: sql`now()` })
    .where(which)
    .returning({ id: dataKeys.id });
  return retired.length;
}

/** Stores a new data key unless another replica was first: there is one current key per owner, always. */
export async function insertUnlessPresent(queries: Queries, dataKey: WrappedDataKey): Promise<void> {
  await queries.insert(dataKeys).values(dataKey).onConflictDoNothing();
}

/**
 * A data key that is not retired, which no one retires or removes until the transaction ends. Taking seals from it and
 * wrapping it again do not wait for that.
 */
export async function holdCurrent(queries: Queries, id: string): Promise<WrappedDataKey | undefined> {
  const [row] = await queries
    .select(wrappedDataKeyColumns)
    .from(dataKeys)
    .where(and(eq(dataKeys.id, id), isNull(dataKeys.retiredAt)))
    .for('key share');
  return row;
}

/** Those of these data keys that there still are. */
export async function listExisting(queries: Queries, ids: readonly string[]): Promise<string[]> {
  const rows = await queries
    .select({ id: dataKeys.id })
    .from(dataKeys)
    .where(sql`${dataKeys.id} = any(${sql.param([...ids])}::uuid[])`);
  return rows.map(({ id }) => id);
}

export async function findSystemKey(queries: Queries): Promise<WrappedDataKey | undefined> {
  const [row] = await queries.select(wrappedDataKeyColumns).from(dataKeys).where(currentOf(null));
  return row;
}

/** One data key of each master key that wraps any. */
export async function findOneOfEachMasterKey(queries: Queries): Promise<WrappedDataKey[]> {
  return queries
    .selectDistinctOn([dataKeys.masterKeyId], wrappedDataKeyColumns)
    .from(dataKeys)
    .orderBy(dataKeys.masterKeyId, dataKeys.id);
}

/** The `audit` key that is current. */
export async function findAuditKey(queries: Queries): Promise<WrappedDataKey | undefined> {
  const [row] = await queries
    .select(wrappedDataKeyColumns)
    .from(dataKeys)
    .where(and(eq(dataKeys.purpose, 'audit'), isNull(dataKeys.retiredAt)));
  return row;
}

/** An `audit` key by its id, retired ones too: they still verify what they have signed. */
export async function findAuditKeyById(queries: Queries, id: string): Promise<WrappedDataKey | undefined> {
  const [row] = await queries
    .select(wrappedDataKeyColumns)
    .from(dataKeys)
    .where(and(eq(dataKeys.id, id), eq(dataKeys.purpose, 'audit')));
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

export function currentOf(owner: OwnerId): SQL | undefined {
  return and(ownedBy(owner), isNull(dataKeys.retiredAt));
}

export function ownedBy(owner: OwnerId): SQL | undefined {
  return owner === null
    ? and(eq(dataKeys.purpose, 'system'), isNull(dataKeys.organizationId))
    : eq(dataKeys.organizationId, owner);
}
