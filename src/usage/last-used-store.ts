import { sql } from 'drizzle-orm';
import type { Database } from '../database/database.ts';
import type { apiKeys, providerKeys } from '../database/schema.ts';
import type { WriteLastUsed } from './last-used.ts';

/**
 * Writes to a table's `last_used_at` in one statement. The rows are locked in one order, so that replicas that write
 * the same keys wait for each other instead of deadlocking.
 */
export function lastUsedWriter(database: Database, table: typeof apiKeys | typeof providerKeys): WriteLastUsed {
  return async (uses) => {
    const ids = sql.param(uses.map(({ id }) => id));
    const instants = sql.param(uses.map(({ at }) => at.toISOString()));
    await database.query((queries) =>
      queries.execute(sql`
        with uses as (select * from unnest(${ids}::uuid[], ${instants}::timestamptz[]) as uses (id, at)),
        locked as (
          select ${table.id} as id from ${table} where ${table.id} in (select id from uses)
          order by ${table.id} for no key update)
        update ${table} set last_used_at = greatest(${table.lastUsedAt}, uses.at)
        from locked join uses using (id) where ${table.id} = locked.id`),
    );
  };
}
