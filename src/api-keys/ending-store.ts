import { and, asc, count, eq, inArray, isNull, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { apiKeys } from '../database/schema/index.ts';

/** Revokes an organisation's API keys for good, as of now unless an instant is given, so many at most. @returns how many they were */
export async function revokeApiKeys(
  queries: Queries,
  organizationId: string,
  { at, most }: { at?: Date; most: number },
): Promise<number> {
  const now = sql`clock_timestamp()`;
  const some = queries
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(and(eq(apiKeys.organizationId, organizationId), isNull(apiKeys.revokedAt)))
    .orderBy(asc(apiKeys.id))
    .limit(most)
    .for('no key update');
  const { rowCount } = await queries
    .update(apiKeys)
    .set({ revokedAt: at ?? now, updatedAt: at ?? now, revision: sql`${apiKeys.revision} + 1` })
    .where(and(inArray(apiKeys.id, some), isNull(apiKeys.revokedAt)));
  return rowCount ?? 0;
}

export async function countApiKeys(queries: Queries, organizationId: string): Promise<number> {
  const [row] = await queries
    .select({ count: count() })
    .from(apiKeys)
    .where(eq(apiKeys.organizationId, organizationId));
  return row?.count ?? 0;
}
