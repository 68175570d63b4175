import { eq, type SQL, sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { Queries } from '../database/queries.ts';
import { apiKeys, apiKeyUsageLimits as limits } from '../database/schema/index.ts';
import { nextRefill, remainingAt } from '../database/usage-limits.ts';
import type { Refill, UsageLimit, WantedUsageLimit } from './usage-limit.ts';

/** The row that counts for a key, and whether it does at present. */
export interface UsageLimitOfKey {
  usageLimitId: string | null;
  usageLimited: boolean;
}

const ofKey = (column: SQL) =>
  sql`(select ${column} from ${limits} where ${limits.id} = ${apiKeys.usageLimitId} and ${apiKeys.usageLimited})`;

/** What an item shows of a limit; one for each row of a few, so that whoever lists keys need not join for it. */
export const usageLimitColumns = {
  remainingUses: sql<number | null>`${ofKey(remainingAt(sql`now()`))}`.mapWith(limits.remaining),
  refill: sql<Refill | null>`${ofKey(sql`
    case when ${limits.refillAmount} is not null
      then json_build_object('amount', ${limits.refillAmount}, 'interval', ${limits.refillInterval}) end`)}`,
};

const UNLIMITED: UsageLimitOfKey = { usageLimitId: null, usageLimited: false };
/** Not when the transaction began: it may have waited, and the uses that it waited for may have been of the next day. */
const now = sql`clock_timestamp()`;

/** For a key that is being issued. */
export async function insertUsageLimit(
  queries: Queries,
  { remainingUses, refill }: UsageLimit,
): Promise<UsageLimitOfKey> {
  if (remainingUses === null) return UNLIMITED;
  const id = uuidv7();
  await queries.insert(limits).values({ id, remaining: remainingUses, ...refillColumns(refill) });
  return { usageLimitId: id, usageLimited: true };
}

/** For many that were issued in the same transaction; those without a limit are passed over. */
export async function limitNewApiKeys(queries: Queries, keys: readonly ({ id: string } & UsageLimit)[]): Promise<void> {
  const limited = keys.flatMap(({ id: apiKeyId, remainingUses, refill }) =>
    remainingUses === null ? [] : [{ apiKeyId, id: uuidv7(), remaining: remainingUses, ...refillColumns(refill) }],
  );
  if (limited.length === 0) return;
  await queries.insert(limits).values(limited.map(({ apiKeyId: _key, ...limit }) => limit));
  const apiKeyIds = sql.param(limited.map(({ apiKeyId }) => apiKeyId));
  const limitIds = sql.param(limited.map(({ id }) => id));
  await queries.execute(sql`
    update ${apiKeys} set usage_limit_id = limited.limit_id, usage_limited = true
    from unnest(${apiKeyIds}::uuid[], ${limitIds}::uuid[]) as limited (api_key_id, limit_id)
    where ${apiKeys.id} = limited.api_key_id`);
}

/**
 * Sets or takes away the limit of a key that is locked. What is set is the number that is left from now on, whichever uses
 * are under way; it counts for the key that took this one's place, or whose place it took, as well.
 */
export async function setUsageLimit(
  queries: Queries,
  { usageLimitId, usageLimited }: UsageLimitOfKey,
  { remainingUses, refill }: WantedUsageLimit,
): Promise<UsageLimitOfKey> {
  if (remainingUses === null) return { usageLimitId, usageLimited: false };
  if (usageLimitId === null) {
    return insertUsageLimit(queries, { remainingUses: remainingUses ?? null, refill: refill ?? null });
  }
  const keptRefill = usageLimited && refill === undefined;
  await queries
    .update(limits)
    .set({
      remaining: remainingUses ?? remainingAt(now),
      // A refill that has come is in what is left, or over with it.
      ...(keptRefill
        ? { refillAt: sql`${nextRefill(sql`${limits.refillInterval}`, now)}` }
        : refillColumns(refill ?? null)),
    })
    .where(eq(limits.id, usageLimitId));
  return { usageLimitId, usageLimited: true };
}

function refillColumns(refill: Refill | null) {
  if (refill === null) return { refillAmount: null, refillInterval: null, refillAt: null };
  const { amount, interval } = refill;
  return { refillAmount: amount, refillInterval: interval, refillAt: nextRefill(sql`${interval}`, now) };
}
