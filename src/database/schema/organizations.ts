import { sql } from 'drizzle-orm';
import { check, index, jsonb, text, uuid } from 'drizzle-orm/pg-core';
import type { RateLimit } from '../../rate-limits/rate-limit.ts';
import { instant, keyService, rateLimitFits } from './columns.ts';

/** One that has ended keeps its row: a tombstone, for which nothing is stored any more. See organizations/endings.ts. */
export const organizations = keyService.table(
  'organizations',
  {
    id: uuid('id').primaryKey(),
    clerkOrgId: text('clerk_org_id').notNull().unique(),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** null: it lives. */
    endedAt: instant('ended_at'),
    /** Since when its API keys are refused until further notice; null: they are not. */
    suspendedAt: instant('suspended_at'),
    /** Of each of its keys that has none of its own. */
    rateLimit: jsonb('rate_limit').$type<RateLimit>(),
    /** It ended because Clerk said so, and its secrets may be destroyed from then on. */
    destroyAfter: instant('destroy_after'),
    destroyedAt: instant('destroyed_at'),
    destroyed: jsonb('destroyed').$type<Destroyed>(),
    /** Its destruction has begun, and cannot be undone any more: what is destroyed so far. null again when all of it is. */
    destruction: jsonb('destruction').$type<DestroyedSoFar>(),
    /** When there is something left to be done about its end; see organizations/ending-sweep.ts. */
    dueAt: instant('due_at'),
  },
  (table) => [
    index('organizations_due').on(table.dueAt).where(sql`${table.dueAt} is not null`),
    check(
      'organizations_end_fits',
      sql`${table.endedAt} is not null or (${table.destroyAfter} is null and ${table.destroyedAt} is null and ${table.dueAt} is null)`,
    ),
    check('organizations_rate_limit_fits', rateLimitFits(table.rateLimit)),
    check('organizations_destruction_fits', sql`${table.destruction} is null or ${table.endedAt} is not null`),
    check('organizations_destroyed_fits', sql`(${table.destroyedAt} is null) = (${table.destroyed} is null)`),
  ],
);

/** Of a destruction that is not finished. */
export interface DestroyedSoFar {
  /** Providers that it had a key of. */
  providerKeys: number;
  /** Sealed secrets, one for each version that was kept. */
  secrets: number;
}

/** What was destroyed with an organisation, in numbers; of its data keys the ids. */
export interface Destroyed extends DestroyedSoFar {
  /** All that it ever had; all are revoked. */
  apiKeys: number;
  dataKeys: string[];
}
