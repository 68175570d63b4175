import { and, asc, inArray, isNull, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { serviceKeys } from '../database/schema/index.ts';

/** Revokes those of these keys that are not revoked yet. */
export async function revokeLeakedServiceKeys(queries: Queries, keyHashes: readonly Buffer[]) {
  const { id, keyHash } = serviceKeys;
  // In one order, as the API keys are.
  const live = queries
    .select({ id })
    .from(serviceKeys)
    .where(and(sql`${keyHash} = any(${sql.param(keyHashes)}::bytea[])`, isNull(serviceKeys.revokedAt)))
    .orderBy(asc(id))
    .for('no key update');
  const rows = await queries
    .update(serviceKeys)
    .set({ revokedAt: sql`now()` })
    .where(and(inArray(id, live), isNull(serviceKeys.revokedAt)))
    .returning({ id, keyHash });
  return rows.map((row) => ({ ...row, organizationId: null }));
}
