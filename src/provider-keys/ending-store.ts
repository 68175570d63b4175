import { and, eq, exists, isNull, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { providerKeySources, providerKeys, providerKeyVersions } from '../database/schema/index.ts';

/**
 * Takes an organisation's keys out of every answer, as if they had been destroyed at that instant, and keeps their secrets.
 *
 * @returns how many they were
 */
export async function hideProviderKeys(queries: Queries, organizationId: string, at: Date): Promise<number> {
  const { rowCount } = await queries
    .update(providerKeys)
    .set({ deletedAt: at, updatedAt: at })
    .where(and(eq(providerKeys.organizationId, organizationId), isNull(providerKeys.deletedAt)));
  return rowCount ?? 0;
}

/** Puts back what was hidden at that instant. @returns how many they were */
export async function showProviderKeys(queries: Queries, organizationId: string, hiddenAt: Date): Promise<number> {
  const hasSecret = exists(
    queries
      .select({ one: sql`1` })
      .from(providerKeyVersions)
      .where(eq(providerKeyVersions.providerKeyId, providerKeys.id)),
  );
  const { rowCount } = await queries
    .update(providerKeys)
    .set({ deletedAt: null, updatedAt: sql`now()` })
    .where(and(eq(providerKeys.organizationId, organizationId), eq(providerKeys.deletedAt, hiddenAt), hasSecret));
  return rowCount ?? 0;
}

/**
 * Destroys the secrets of so many of an organisation's keys at most, each in every version, and what was said of where its
 * keys come from. The keys have been hidden before. `more`: there may be others.
 */
export async function destroyProviderKeys(
  queries: Queries,
  organizationId: string,
  { most }: { most: number },
): Promise<{ providerKeys: number; secrets: number; more: boolean }> {
  const { rows } = await queries.execute<{ providerKeys: number; secrets: number }>(sql`
    with destroyed as (
      delete from ${providerKeyVersions} where provider_key_id in (
        select id from ${providerKeys} where organization_id = ${organizationId}
          and exists (select 1 from ${providerKeyVersions} where provider_key_id = ${providerKeys.id})
        order by id limit ${most}
      )
      returning provider_key_id
    )
    select count(distinct provider_key_id)::int as "providerKeys", count(*)::int as secrets from destroyed`);
  const { providerKeys: destroyed = 0, secrets = 0 } = rows[0] ?? {};
  if (destroyed === most) return { providerKeys: destroyed, secrets, more: true };
  const { rowCount } = await queries.execute(sql`
    delete from ${providerKeySources} where organization_id = ${organizationId} and provider in (
      select provider from ${providerKeySources} where organization_id = ${organizationId} order by provider limit ${most}
    )`);
  return { providerKeys: destroyed, secrets, more: rowCount === most };
}
