import { and, asc, count, eq, gt, inArray, isNull, type SQL, sql } from 'drizzle-orm';
import type { Resealed } from '../data-keys/sealed-column.ts';
import { type WrappedDataKey, wrappedDataKeyColumns } from '../data-keys/wrapped-data-key.ts';
import type { Queries } from '../database/queries.ts';
import { dataKeys, idempotentReplies, organizations } from '../database/schema/index.ts';

export interface KeptReply {
  /** Of the request that was answered first. */
  requestId: string;
  bodyKeyId: string;
  bodyMac: Buffer;
  dataKey: WrappedDataKey;
  sealed: Buffer;
  /** The organisation that the request names, if it is known. */
  organizationId: string | null;
}

/** What was answered and has not expired. */
export async function findReply(
  queries: Queries,
  scope: Buffer,
  clerkOrgId: string | undefined,
): Promise<KeptReply | undefined> {
  const [row] = await queries
    .select({
      requestId: idempotentReplies.requestId,
      bodyKeyId: idempotentReplies.bodyKeyId,
      bodyMac: idempotentReplies.bodyMac,
      dataKey: wrappedDataKeyColumns,
      sealed: idempotentReplies.sealed,
      organizationId: organizations.id,
    })
    .from(idempotentReplies)
    .innerJoin(dataKeys, eq(dataKeys.id, idempotentReplies.dataKeyId))
    .leftJoin(organizations, eq(organizations.clerkOrgId, clerkOrgId ?? ''))
    .where(isKept(scope));
  return row;
}

export async function isAnswered(queries: Queries, scope: Buffer): Promise<boolean> {
  const rows = await queries.select({ one: sql`1` }).from(idempotentReplies).where(isKept(scope));
  return rows.length > 0;
}

export type ReplyToKeep = Pick<KeptReply, 'requestId' | 'bodyKeyId' | 'bodyMac' | 'sealed'> & {
  scope: Buffer;
  dataKeyId: string;
};

/** In the place of one that has expired, if it is still there. */
export async function insertReply(queries: Queries, reply: ReplyToKeep, keptForHours: number): Promise<void> {
  const row = {
    ...reply,
    createdAt: sql`clock_timestamp()`,
    expiresAt: sql`clock_timestamp() + make_interval(hours => ${keptForHours})`,
  };
  const { scope: _, ...set } = row;
  await queries.insert(idempotentReplies).values(row).onConflictDoUpdate({ target: idempotentReplies.scope, set });
}

/** Removes what has expired, a few rows, and none that somebody has locked. @returns how many */
export async function removeExpiredReplies(queries: Queries, limit: number): Promise<number> {
  const { rowCount } = await queries.execute(sql`
    delete from ${idempotentReplies} where ${idempotentReplies.scope} in (
      select scope from ${idempotentReplies} where expires_at <= clock_timestamp()
      order by expires_at limit ${limit} for update skip locked
    )`);
  return rowCount ?? 0;
}

const isKept = (scope: Buffer) =>
  and(eq(idempotentReplies.scope, scope), gt(idempotentReplies.expiresAt, sql`clock_timestamp()`));

export interface SealedReply {
  scope: Buffer;
  dataKeyId: string;
  sealed: Buffer;
}

/** Replies that one of these data keys sealed, in the order of their scopes, from behind `after`. */
export async function listSealedWith(
  queries: Queries,
  dataKeyIds: readonly string[],
  after: Buffer | null,
  limit: number,
): Promise<SealedReply[]> {
  const { scope, dataKeyId, sealed } = idempotentReplies;
  return queries
    .select({ scope, dataKeyId, sealed })
    .from(idempotentReplies)
    .where(and(sealedWith(dataKeyIds), after === null ? undefined : gt(scope, after)))
    .orderBy(asc(scope))
    .limit(limit);
}

/** Replaces those that are still what was read. Rows that somebody is changing are passed over and not waited for. */
export async function replaceSealed(
  queries: Queries,
  replies: readonly (Pick<SealedReply, 'scope'> & Omit<Resealed, 'key'>)[],
): Promise<Buffer[]> {
  const wanted = replies.map(
    ({ scope, before, sealed, dataKeyId }) =>
      sql`(${scope}::bytea, ${before}::bytea, ${sealed}::bytea, ${dataKeyId}::uuid)`,
  );
  const { rows } = await queries.execute<{ scope: Buffer }>(sql`
    with wanted (scope, before, sealed, data_key_id) as (values ${sql.join(wanted, sql`, `)}),
    locked as (
      select r.scope, wanted.sealed, wanted.data_key_id from ${idempotentReplies} r
      join wanted on wanted.scope = r.scope and wanted.before = r.sealed
      order by r.scope for no key update of r skip locked
    )
    update ${idempotentReplies} r set sealed = locked.sealed, data_key_id = locked.data_key_id
    from locked where r.scope = locked.scope
    returning r.scope`);
  return rows.map(({ scope }) => scope);
}

export async function countSealedWith(
  queries: Queries,
  dataKeyIds: readonly string[],
): Promise<{ dataKeyId: string; count: number }[]> {
  return queries
    .select({ dataKeyId: idempotentReplies.dataKeyId, count: count() })
    .from(idempotentReplies)
    .where(sealedWith(dataKeyIds))
    .groupBy(idempotentReplies.dataKeyId);
}

export async function countSealed(queries: Queries): Promise<{ current: number; retired: number }> {
  const [row] = await queries
    .select({
      current: sql<number>`count(*) filter (where ${isNull(dataKeys.retiredAt)})`.mapWith(Number),
      retired: count(dataKeys.retiredAt),
    })
    .from(idempotentReplies)
    .innerJoin(dataKeys, eq(dataKeys.id, idempotentReplies.dataKeyId));
  return { current: row?.current ?? 0, retired: row?.retired ?? 0 };
}

function sealedWith(dataKeyIds: readonly string[]): SQL | undefined {
  return inArray(idempotentReplies.dataKeyId, [...dataKeyIds]);
}
