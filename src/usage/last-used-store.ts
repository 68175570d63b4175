import { sql } from 'drizzle-orm';
import type { Database } from '../database/database.ts';
import { providerKeys, providerKeyUses, serviceKeys, serviceKeyUses } from '../database/schema/index.ts';
import type { WriteLastUsed } from './last-used.ts';

export const writeProviderKeyUses = (database: Database) => writerTo(database, providerKeyUses, providerKeys);
export const writeServiceKeyUses = (database: Database) => writerTo(database, serviceKeyUses, serviceKeys);

type UsesTable = typeof providerKeyUses | typeof serviceKeyUses;
type KeysTable = typeof providerKeys | typeof serviceKeys;

/**
 * One statement for all keys, in one order, so that replicas that write the same keys wait for each other instead of
 * deadlocking. It touches no row of the keys themselves. Two arrays and not a row of parameters for each key: building and
 * parsing those would hold up the requests of that moment.
 *
 * The use of a key whose row is gone, deleted with SQL, is nobody's, and is passed over: the foreign key would refuse all of
 * the statement for it, now and whenever it is tried again. One that goes meanwhile is passed over then.
 */
function writerTo(database: Database, table: UsesTable, keys: KeysTable): WriteLastUsed {
  return async (uses) => {
    const inOrder = uses.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const ids = sql.param(inOrder.map(({ id }) => id));
    const seconds = sql.param(inOrder.map(({ atMs }) => atMs / 1000));
    await database.query((queries) =>
      queries.execute(sql`
        insert into ${table} (${sql.identifier(table.id.name)}, ${sql.identifier(table.lastUsedAt.name)})
        select uses.id, to_timestamp(seconds) from unnest(${ids}::uuid[], ${seconds}::float8[]) as uses (id, seconds)
        where exists (select 1 from ${keys} where ${keys.id} = uses.id)
        order by uses.id
        on conflict (${sql.identifier(table.id.name)})
        do update set last_used_at = greatest(${table.lastUsedAt}, excluded.last_used_at)`),
    );
  };
}
