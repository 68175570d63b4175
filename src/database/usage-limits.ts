import { type SQL, sql } from 'drizzle-orm';
import { apiKeyUsageLimits } from './schema/index.ts';

const { remaining, refillAmount, refillAt } = apiKeyUsageLimits;

/** The uses that are left at an instant: a refill that has come is so before anybody has written it. */
export const remainingAt = (instant: SQL) =>
  sql<number>`case when ${refillAt} <= ${instant} then ${refillAmount} else ${remaining} end`.mapWith(remaining);

/** When calendar days or months in UTC next begin; null for neither. See migrations/…_usage_limits.sql. */
export const nextRefill = (interval: SQL, instant: SQL) => sql`"key_service"."next_refill"(${interval}, ${instant})`;
