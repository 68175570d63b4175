import type { Queries } from '../database/queries.ts';
import { apiKeys } from '../database/schema.ts';
import type { ApiKey } from './api-key.ts';
import { type ApiKeyToInsert, columns } from './api-key-store.ts';

export interface InsertedApiKey extends ApiKey {
  organizationId: string;
}

/**
 * Inserts those whose hash no key has yet, in the order of their hashes: of two imports of the same keys one waits for the
 * other, and never both.
 */
export async function insertNewApiKeys(queries: Queries, keys: readonly ApiKeyToInsert[]): Promise<InsertedApiKey[]> {
  return queries
    .insert(apiKeys)
    .values(keys.toSorted((one, other) => Buffer.compare(one.keyHash, other.keyHash)))
    .onConflictDoNothing({ target: apiKeys.keyHash })
    .returning({ ...columns, organizationId: apiKeys.organizationId });
}
