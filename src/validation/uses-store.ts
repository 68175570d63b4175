import { sql } from 'drizzle-orm';
import type { Database } from '../database/database.ts';
import { apiKeyUsageLimits as limits } from '../database/schema/index.ts';
import { nextRefill, remainingAt } from '../database/usage-limits.ts';
import type { TakenUses, WantedUses } from './use-queue.ts';

/**
 * Takes as many of the wanted uses as there are, of many limits in one statement: it stands alone, and is durable when it
 * resolves. Limits are locked in one order, so that two statements wait for each other and never both; one that is used up
 * is neither locked nor written. PostgreSQL's clock decides what day it is, for all replicas.
 */
export function prepareTakeUses(database: Database): (wanted: WantedUses[], limitMs: number) => Promise<TakenUses[]> {
  const now = sql`now()`;
  const take = database.prepare('take_api_key_uses', (queries) => {
    const ids = sql`${sql.placeholder('ids')}::uuid[]`;
    const locked = queries.$with('locked', {}).as(sql`
      select ${limits.id}, ${remainingAt(now)} as remaining,
        case when ${limits.refillAt} <= ${now} then ${nextRefill(sql`${limits.refillInterval}`, now)}
          else ${limits.refillAt} end as refill_at
      from ${limits}
      where ${limits.id} = any(${ids}) and (${limits.remaining} > 0 or ${limits.refillAt} <= ${now})
      order by ${limits.id} for no key update`);
    const taken = queries.$with('taken', {}).as(sql`
      update ${limits}
      set remaining = locked.remaining - least(locked.remaining, wanted.uses), refill_at = locked.refill_at
      from locked join unnest(${ids}, ${sql.placeholder('uses')}::bigint[]) as wanted(id, uses) on wanted.id = locked.id
      where ${limits.id} = locked.id
      returning ${limits.id} as id, least(locked.remaining, wanted.uses) as granted, ${limits.remaining} as remaining,
        ${limits.refillAt} as refill_at`);
    const refillAt = sql`coalesce(taken.refill_at, ${limits.refillAt})`;
    return queries
      .with(locked, taken)
      .select({
        id: limits.id,
        granted: sql`coalesce(taken.granted, 0)`.mapWith(Number),
        remaining: sql`coalesce(taken.remaining, 0)`.mapWith(Number),
        refillAt: sql<Date | null>`${refillAt}`.mapWith(limits.refillAt),
        refillInSeconds: sql<number | null>`ceil(extract(epoch from ${refillAt} - ${now}))`.mapWith(Number),
      })
      .from(limits)
      .leftJoin(sql`taken`, sql`taken.id = ${limits.id}`)
      .where(sql`${limits.id} = any(${ids})`);
  });
  return (wanted, limitMs) => take({ ids: wanted.map(({ id }) => id), uses: wanted.map(({ uses }) => uses) }, limitMs);
}
