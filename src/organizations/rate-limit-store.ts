import { and, eq, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { organizations } from '../database/schema/index.ts';
import type { RateLimit } from '../rate-limits/rate-limit.ts';

/** null for an organisation that is not known, too. */
export async function findRateLimit(queries: Queries, clerkOrgId: string): Promise<RateLimit | null> {
  const [row] = await queries
    .select({ rateLimit: organizations.rateLimit })
    .from(organizations)
    .where(eq(organizations.clerkOrgId, clerkOrgId));
  return row?.rateLimit ?? null;
}

/** @returns whether it was another one before */
export async function storeRateLimit(queries: Queries, id: string, rateLimit: RateLimit | null): Promise<boolean> {
  const wanted = rateLimit === null ? sql`null` : sql`${JSON.stringify(rateLimit)}::jsonb`;
  const { rowCount } = await queries
    .update(organizations)
    .set({ rateLimit: wanted })
    .where(and(eq(organizations.id, id), sql`${organizations.rateLimit} is distinct from ${wanted}`));
  return rowCount === 1;
}
