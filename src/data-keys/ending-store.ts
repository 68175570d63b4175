import { eq } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { dataKeys } from '../database/schema.ts';

/** Destroys an organisation's data keys, the retired ones too. Nothing that they sealed is stored any more. @returns their ids */
export async function destroyDataKeys(queries: Queries, organizationId: string): Promise<string[]> {
  const destroyed = await queries
    .delete(dataKeys)
    .where(eq(dataKeys.organizationId, organizationId))
    .returning({ id: dataKeys.id });
  return destroyed.map(({ id }) => id).sort();
}
