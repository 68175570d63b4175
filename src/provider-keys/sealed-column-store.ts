import { and, asc, count, eq, inArray, isNull, type SQL, sql } from 'drizzle-orm';
import type { Resealed } from '../data-keys/sealed-column.ts';
import type { Queries } from '../database/queries.ts';
import { dataKeys, providerKeys, providerKeyVersions } from '../database/schema/index.ts';

/** A version of a provider key as it rests. */
export interface SealedVersion {
  id: string;
  /** null: the platform's. */
  organizationId: string | null;
  provider: string;
  version: number;
  dataKeyId: string;
  sealed: Buffer;
}

/** Versions that one of these data keys sealed, in the order of row id and version, from behind `after`. */
export async function listSealedWith(
  queries: Queries,
  dataKeyIds: readonly string[],
  after: Pick<SealedVersion, 'id' | 'version'> | null,
  limit: number,
): Promise<SealedVersion[]> {
  const { providerKeyId, version } = providerKeyVersions;
  return queries
    .select({
      id: providerKeyId,
      organizationId: providerKeys.organizationId,
      provider: providerKeys.provider,
      version,
      dataKeyId: providerKeyVersions.dataKeyId,
      sealed: providerKeyVersions.sealed,
    })
    .from(providerKeyVersions)
    .innerJoin(providerKeys, eq(providerKeys.id, providerKeyId))
    .where(
      and(
        sealedWith(dataKeyIds),
        after === null
          ? undefined
          : sql`(${providerKeyId}, ${version}) > (${after.id}::uuid, ${after.version}::integer)`,
      ),
    )
    .orderBy(asc(providerKeyId), asc(version))
    .limit(limit);
}

/**
 * Replaces those that are still what was read. Rows that somebody is changing are passed over and not waited for, so that
 * this and a save never wait for each other in a circle.
 */
export async function replaceSealed(
  queries: Queries,
  versions: readonly (Pick<SealedVersion, 'id' | 'version'> & Omit<Resealed, 'key'>)[],
): Promise<Pick<SealedVersion, 'id' | 'version'>[]> {
  const wanted = versions.map(
    ({ id, version, before, sealed, dataKeyId }) =>
      sql`(${id}::uuid, ${version}::integer, ${before}::bytea, ${sealed}::bytea, ${dataKeyId}::uuid)`,
  );
  const { rows } = await queries.execute<{ id: string; version: number }>(sql`
    with wanted (id, version, before, sealed, data_key_id) as (values ${sql.join(wanted, sql`, `)}),
    locked as (
      select v.provider_key_id, v.version, wanted.sealed, wanted.data_key_id from ${providerKeyVersions} v
      join wanted on wanted.id = v.provider_key_id and wanted.version = v.version and wanted.before = v.sealed
      order by v.provider_key_id, v.version for no key update of v skip locked
    )
    update ${providerKeyVersions} v set sealed = locked.sealed, data_key_id = locked.data_key_id
    from locked where v.provider_key_id = locked.provider_key_id and v.version = locked.version
    returning v.provider_key_id as id, v.version`);
  return rows;
}

export async function countSealedWith(
  queries: Queries,
  dataKeyIds: readonly string[],
): Promise<{ dataKeyId: string; count: number }[]> {
  return queries
    .select({ dataKeyId: providerKeyVersions.dataKeyId, count: count() })
    .from(providerKeyVersions)
    .where(sealedWith(dataKeyIds))
    .groupBy(providerKeyVersions.dataKeyId);
}

export async function countSealed(queries: Queries): Promise<{ current: number; retired: number }> {
  const [row] = await queries
    .select({
      current: sql<number>`count(*) filter (where ${isNull(dataKeys.retiredAt)})`.mapWith(Number),
      retired: count(dataKeys.retiredAt),
    })
    .from(providerKeyVersions)
    .innerJoin(dataKeys, eq(dataKeys.id, providerKeyVersions.dataKeyId));
  return { current: row?.current ?? 0, retired: row?.retired ?? 0 };
}

function sealedWith(dataKeyIds: readonly string[]): SQL | undefined {
  return inArray(providerKeyVersions.dataKeyId, [...dataKeyIds]);
}
