import { sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { apiKeys, apiKeyUses, usageCounts, usageWriters } from '../database/schema/index.ts';
import type { UsageBatch, WriteUsage } from './key-usage.ts';

/**
 * One statement for a whole batch, so that all of it happens or nothing. It begins with the writer's own row, which says
 * whether this batch was written before: then nothing more is. A statement that is still at it, on a connection that was
 * lost, is waited for there.
 *
 * Counts before last uses, each in one order: replicas that write the same keys wait for each other instead of
 * deadlocking. Arrays and not a row of parameters for each count: building and parsing those would hold up the requests
 * of that moment.
 *
 * Counts of a key whose row is gone, deleted with SQL, are its organisation's still. When it was last used is nobody's: the
 * foreign key would refuse all of the statement for it, now and whenever it is tried again.
 */
export function writeKeyUsage(database: Database): WriteUsage {
  return async (batch) => {
    await database.query((queries) => queries.execute(statementFor(batch)));
  };
}

function statementFor({ writer, number, counts, lastUsed }: UsageBatch) {
  return sql`
    with turn as (
      insert into ${usageWriters} as writer (id, batch, written_at) values (${writer}, ${number}, now())
      on conflict (id) do update set batch = excluded.batch, written_at = excluded.written_at
      where writer.batch < excluded.batch
      returning id
    ), counts as (
      select api_key_id, organization_id, to_timestamp(hour * 3600) as hour, outcome, count
      from unnest(
        ${sql.param(counts.map(({ apiKeyId }) => apiKeyId))}::uuid[],
        ${sql.param(counts.map(({ organizationId }) => organizationId))}::uuid[],
        ${sql.param(counts.map(({ hour }) => hour))}::float8[],
        ${sql.param(counts.map(({ outcome }) => outcome))}::text[],
        ${sql.param(counts.map(({ count }) => count))}::bigint[]
      ) as counts (api_key_id, organization_id, hour, outcome, count)
      where exists (select from turn)
    ), counted as (
      insert into ${usageCounts} as stored (subject_id, hour, outcome, count)
      select subject_id, hour, outcome, sum(count)
      from (
        select api_key_id as subject_id, hour, outcome, count from counts
        union all
        select organization_id, hour, outcome, count from counts
      ) as by_subject
      group by subject_id, hour, outcome
      order by subject_id, hour, outcome
      on conflict (subject_id, hour, outcome) do update set count = stored.count + excluded.count
      returning subject_id
    )
    insert into ${apiKeyUses} as stored (api_key_id, last_used_at)
    select uses.id, to_timestamp(seconds)
    from unnest(
      ${sql.param(lastUsed.map(({ id }) => id))}::uuid[],
      ${sql.param(lastUsed.map(({ atMs }) => atMs / 1000))}::float8[]
    ) as uses (id, seconds)
    -- Counting them all comes first, which fixes the order of the locks; without a turn there are none.
    where (select count(*) from counted) > 0
      and exists (select from ${apiKeys} where ${apiKeys.id} = uses.id)
    order by uses.id
    on conflict (api_key_id) do update set last_used_at = greatest(stored.last_used_at, excluded.last_used_at)`;
}

/** Deletes counts of more than so many days ago, and none that somebody else has locked. @returns how many it has deleted */
export function deleteOldCounts(queries: Queries, days: number, limit: number): Promise<number> {
  return deleteOld(queries, usageCounts, usageCounts.hour, days, limit);
}

/**
 * The same for writers who have written nothing since. What they wrote has gone, so that a batch of theirs that was to turn
 * up again would be counted once all the same.
 */
export function deleteOldWriters(queries: Queries, days: number, limit: number): Promise<number> {
  return deleteOld(queries, usageWriters, usageWriters.writtenAt, days, limit);
}

async function deleteOld(
  queries: Queries,
  table: typeof usageCounts | typeof usageWriters,
  column: PgColumn,
  days: number,
  limit: number,
): Promise<number> {
  const { rowCount } = await queries.execute(sql`
    delete from ${table} where ctid = any (array(
      select ctid from ${table} where ${column} < now() - make_interval(days => ${days}::int)
      order by ${column} limit ${limit} for update skip locked
    ))`);
  return rowCount ?? 0;
}
