import { and, eq, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { apiKeys } from '../database/schema.ts';
import type { ApiKey, ApiKeySettings } from './api-key.ts';
import { columns } from './api-key-store.ts';

/** A key that nobody else changes until the transaction ends. */
export interface LockedApiKey extends ApiKey {
  organizationId: string;
  keyHash: Buffer;
}

export async function lockApiKey(
  queries: Queries,
  organizationId: string,
  id: string,
): Promise<LockedApiKey | undefined> {
  const [row] = await queries
    .select({ ...columns, organizationId: apiKeys.organizationId, keyHash: apiKeys.keyHash })
    .from(apiKeys)
    .where(and(eq(apiKeys.id, id), eq(apiKeys.organizationId, organizationId)))
    .for('no key update');
  return row;
}

/** Changes a key that is locked. Not from when the transaction began: it may have waited for another change. */
export async function updateApiKey(queries: Queries, id: string, changes: Partial<ApiKeySettings>): Promise<void> {
  await queries
    .update(apiKeys)
    .set({ ...changes, updatedAt: sql`clock_timestamp()`, revision: sql`${apiKeys.revision} + 1` })
    .where(eq(apiKeys.id, id));
}
