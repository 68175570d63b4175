import { and, eq, exists, inArray, isNull, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { providerKeySources, providerKeys, providerKeyVersions } from '../database/schema.ts';

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
 * Destroys every secret of an organisation in every version, and what was said of where its keys come from. The keys have
 * been hidden before.
 */
export async function destroyProviderKeys(
  queries: Queries,
  organizationId: string,
): Promise<{ providerKeys: number; secrets: number }> {
  const own = queries
    .select({ id: providerKeys.id })
    .from(providerKeys)
    .where(eq(providerKeys.organizationId, organizationId));
  const destroyed = await queries
    .delete(providerKeyVersions)
    .where(inArray(providerKeyVersions.providerKeyId, own))
    .returning({ providerKeyId: providerKeyVersions.providerKeyId });
  await queries.delete(providerKeySources).where(eq(providerKeySources.organizationId, organizationId));
  return {
    providerKeys: new Set(destroyed.map(({ providerKeyId }) => providerKeyId)).size,
    secrets: destroyed.length,
  };
}
