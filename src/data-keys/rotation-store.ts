import { and, asc, count, eq, gt, ne, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { dataKeys } from '../database/schema/index.ts';
import { type WrappedDataKey, wrappedDataKeyColumns } from './wrapped-data-key.ts';

/** Data keys that another master key than this one wraps, in the order of their ids. */
export async function listWrappedByOthers(
  queries: Queries,
  masterKeyId: string,
  after: string | null,
  limit: number,
): Promise<WrappedDataKey[]> {
  return queries
    .select(wrappedDataKeyColumns)
    .from(dataKeys)
    .where(and(ne(dataKeys.masterKeyId, masterKeyId), after === null ? undefined : gt(dataKeys.id, after)))
    .orderBy(asc(dataKeys.id))
    .limit(limit);
}

export async function countWrappedByOthers(queries: Queries, masterKeyId: string): Promise<number> {
  const [row] = await queries.select({ count: count() }).from(dataKeys).where(ne(dataKeys.masterKeyId, masterKeyId));
  return row?.count ?? 0;
}

export interface Rewrapped {
  id: string;
  before: Buffer;
  wrapped: Buffer;
}

/**
 * Replaces the wrapping of those that are still as they were read, all in one commit. It waits for no row that is in use:
 * two of these at once, or one beside requests that take seals, never wait for each other in a circle.
 *
 * @returns how many it has replaced
 */
export async function replaceWrapping(
  queries: Queries,
  masterKeyId: string,
  rewrapped: readonly Rewrapped[],
): Promise<number> {
  const wanted = rewrapped.map(({ id, before, wrapped }) => sql`(${id}::uuid, ${before}::bytea, ${wrapped}::bytea)`);
  const { rowCount } = await queries.execute(sql`
    with wanted (id, before, wrapped) as (values ${sql.join(wanted, sql`, `)}),
    locked as (
      select d.id, wanted.wrapped from ${dataKeys} d join wanted on wanted.id = d.id and wanted.before = d.wrapped
      order by d.id for no key update of d skip locked
    )
    update ${dataKeys} d set wrapped = locked.wrapped, master_key_id = ${masterKeyId}
    from locked where d.id = locked.id`);
  return rowCount ?? 0;
}

/** Of one data key, for a person to read. */
export interface DataKeyFacts {
  id: string;
  masterKeyId: string;
  seals: number;
  createdAt: Date;
  retiredAt: Date | null;
}

export async function listDataKeysOf(queries: Queries, organizationId: string): Promise<DataKeyFacts[]> {
  return queries
    .select({
      id: dataKeys.id,
      masterKeyId: dataKeys.masterKeyId,
      seals: dataKeys.seals,
      createdAt: dataKeys.createdAt,
      retiredAt: dataKeys.retiredAt,
    })
    .from(dataKeys)
    .where(eq(dataKeys.organizationId, organizationId))
    .orderBy(asc(dataKeys.createdAt), asc(dataKeys.id));
}

/** Data keys, by whether they are retired. */
export async function countDataKeys(queries: Queries): Promise<{ current: number; retired: number }> {
  const [row] = await queries
    .select({
      current: sql<number>`count(*) filter (where ${dataKeys.retiredAt} is null)`.mapWith(Number),
      retired: count(dataKeys.retiredAt),
    })
    .from(dataKeys);
  return { current: row?.current ?? 0, retired: row?.retired ?? 0 };
}
