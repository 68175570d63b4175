import { and, asc, inArray, isNull, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { apiKeys } from '../database/schema/index.ts';

/** Revokes those of these keys that are not revoked yet, whichever organisations they are of. */
export async function revokeLeakedApiKeys(queries: Queries, keyHashes: readonly Buffer[]) {
  const { id, organizationId, keyHash } = apiKeys;
  // In one order, whatever order they were reported in: two reports wait for each other, and never both.
  const live = queries
    .select({ id })
    .from(apiKeys)
    .where(and(sql`${keyHash} = any(${sql.param(keyHashes)}::bytea[])`, isNull(apiKeys.revokedAt)))
    .orderBy(asc(id))
    .for('no key update');
  return queries
    .update(apiKeys)
    .set({ revokedAt: sql`now()`, updatedAt: sql`now()`, revision: sql`${apiKeys.revision} + 1` })
    .where(and(inArray(id, live), isNull(apiKeys.revokedAt)))
    .returning({ id, organizationId, keyHash });
}
