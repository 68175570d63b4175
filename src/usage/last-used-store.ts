import { sql } from 'drizzle-orm';
import type { Database } from '../database/database.ts';
import { apiKeyUses, providerKeyUses } from '../database/schema.ts';
import type { WriteLastUsed } from './last-used.ts';

export const writeApiKeyUses = (database: Database) => writerTo(database, apiKeyUses);
export const writeProviderKeyUses = (database: Database) => writerTo(database, providerKeyUses);

/**
 * One statement for all keys, in one order, so that replicas that write the same keys wait for each other instead of
 * deadlocking. It touches no row of the keys themselves.
 */
function writerTo(database: Database, table: typeof apiKeyUses | typeof providerKeyUses): WriteLastUsed {
  return async (uses) => {
    const inOrder = uses.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ id, at }) => ({ id, lastUsedAt: at }));
    await database.query((queries) =>
      queries
        .insert(table)
        .values(inOrder)
        .onConflictDoUpdate({
          target: table.id,
          set: { lastUsedAt: sql`greatest(${table.lastUsedAt}, excluded.last_used_at)` },
        }),
    );
  };
}
