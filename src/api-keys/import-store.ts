import type { Queries } from '../database/queries.ts';
import { apiKeys } from '../database/schema/index.ts';
import type { ApiKey } from './api-key.ts';
import { type ApiKeyToInsert, columns } from './api-key-store.ts';
import type { UsageLimit } from './usage-limit.ts';
import { limitNewApiKeys, type UsageLimitOfKey } from './usage-limit-store.ts';

/** Its limit is made when the key is known to be new. */
export type ApiKeyToImport = Omit<ApiKeyToInsert, keyof UsageLimitOfKey> & UsageLimit;

export interface InsertedApiKey extends ApiKey {
  organizationId: string;
}

/**
 * Inserts those whose hash no key has yet, in the order of their hashes: of two imports of the same keys one waits for the
 * other, and never both.
 */
export async function insertNewApiKeys(queries: Queries, keys: readonly ApiKeyToImport[]): Promise<InsertedApiKey[]> {
  const inserted = await queries
    .insert(apiKeys)
    .values(
      keys
        .toSorted((one, other) => Buffer.compare(one.keyHash, other.keyHash))
        .map(({ remainingUses: _remaining, refill: _refill, ...key }) => key),
    )
    .onConflictDoNothing({ target: apiKeys.keyHash })
    .returning({ ...columns, organizationId: apiKeys.organizationId });
  const wanted = new Map(keys.map(({ id, remainingUses, refill }) => [id, { remainingUses, refill }]));
  const limited = inserted.map((key) => ({ ...key, ...wanted.get(key.id) }));
  await limitNewApiKeys(queries, limited);
  return limited;
}
