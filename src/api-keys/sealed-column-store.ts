import { and, asc, count, eq, gt, inArray, isNull, sql } from 'drizzle-orm';
import type { Resealed } from '../data-keys/sealed-column.ts';
import type { Queries } from '../database/queries.ts';
import { apiKeyCopies, apiKeys, dataKeys } from '../database/schema/index.ts';

/** A copy of a key as it rests. */
export interface SealedCopy {
  /** The key's. */
  id: string;
  organizationId: string;
  dataKeyId: string;
  sealed: Buffer;
}

/** Copies that one of these data keys sealed, in the order of the ids of their keys, from behind `after`. */
export async function listSealedWith(
  queries: Queries,
  dataKeyIds: readonly string[],
  after: string | null,
  limit: number,
): Promise<SealedCopy[]> {
  return queries
    .select({
      id: apiKeyCopies.apiKeyId,
      organizationId: apiKeys.organizationId,
      dataKeyId: apiKeyCopies.dataKeyId,
      sealed: apiKeyCopies.sealed,
    })
    .from(apiKeyCopies)
    .innerJoin(apiKeys, eq(apiKeys.id, apiKeyCopies.apiKeyId))
    .where(
      and(
        inArray(apiKeyCopies.dataKeyId, [...dataKeyIds]),
        after === null ? undefined : gt(apiKeyCopies.apiKeyId, after),
      ),
    )
    .orderBy(asc(apiKeyCopies.apiKeyId))
    .limit(limit);
}

/** Replaces those that are still what was read, and waits for none that is being destroyed. */
export async function replaceSealed(queries: Queries, copies: readonly Resealed[]): Promise<string[]> {
  const wanted = copies.map(
    ({ key, before, sealed, dataKeyId }) => sql`(${key}::uuid, ${before}::bytea, ${sealed}::bytea, ${dataKeyId}::uuid)`,
  );
  const { rows } = await queries.execute<{ id: string }>(sql`
    with wanted (id, before, sealed, data_key_id) as (values ${sql.join(wanted, sql`, `)}),
    locked as (
      select c.api_key_id, wanted.sealed, wanted.data_key_id from ${apiKeyCopies} c
      join wanted on wanted.id = c.api_key_id and wanted.before = c.sealed
      order by c.api_key_id for no key update of c skip locked
    )
    update ${apiKeyCopies} c set sealed = locked.sealed, data_key_id = locked.data_key_id
    from locked where c.api_key_id = locked.api_key_id
    returning c.api_key_id as id`);
  return rows.map(({ id }) => id);
}

export async function countSealedWith(
  queries: Queries,
  dataKeyIds: readonly string[],
): Promise<{ dataKeyId: string; count: number }[]> {
  return queries
    .select({ dataKeyId: apiKeyCopies.dataKeyId, count: count() })
    .from(apiKeyCopies)
    .where(inArray(apiKeyCopies.dataKeyId, [...dataKeyIds]))
    .groupBy(apiKeyCopies.dataKeyId);
}

export async function countSealed(queries: Queries): Promise<{ current: number; retired: number }> {
  const [row] = await queries
    .select({
      current: sql<number>`count(*) filter (where ${isNull(dataKeys.retiredAt)})`.mapWith(Number),
      retired: count(dataKeys.retiredAt),
    })
    .from(apiKeyCopies)
    .innerJoin(dataKeys, eq(dataKeys.id, apiKeyCopies.dataKeyId));
  return { current: row?.current ?? 0, retired: row?.retired ?? 0 };
}
