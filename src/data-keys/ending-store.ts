import { asc, eq, inArray } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { dataKeys } from '../database/schema/index.ts';

/**
 * Destroys an organisation's data keys, the retired ones too. Nothing that they sealed is stored any more. They are locked
 * in the order in which rolling locks them, so that the two never wait for each other in a circle.
 *
 * @returns their ids
 */
export async function destroyDataKeys(queries: Queries, organizationId: string): Promise<string[]> {
  const locked = await queries
    .select({ id: dataKeys.id })
    .from(dataKeys)
    .where(eq(dataKeys.organizationId, organizationId))
    .orderBy(asc(dataKeys.id))
    .for('update');
  const ids = locked.map(({ id }) => id);
  if (ids.length > 0) await queries.delete(dataKeys).where(inArray(dataKeys.id, ids));
  return ids;
}
