import { and, eq, isNotNull, isNull, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { organizations } from '../database/schema/index.ts';

/** @returns since when it is suspended, and whether it was not before */
export async function markSuspended(queries: Queries, id: string): Promise<{ since: Date; changed: boolean }> {
  const suspendedAt = { suspendedAt: organizations.suspendedAt };
  const [now] = await queries
    .update(organizations)
    .set({ suspendedAt: sql`clock_timestamp()` })
    .where(and(eq(organizations.id, id), isNull(organizations.suspendedAt)))
    .returning(suspendedAt);
  if (now?.suspendedAt) return { since: now.suspendedAt, changed: true };
  const [before] = await queries.select(suspendedAt).from(organizations).where(eq(organizations.id, id));
  if (!before?.suspendedAt) throw new Error('An organisation that is held is not there');
  return { since: before.suspendedAt, changed: false };
}

/** @returns whether it was suspended before */
export async function markResumed(queries: Queries, id: string): Promise<boolean> {
  const { rowCount } = await queries
    .update(organizations)
    .set({ suspendedAt: null })
    .where(and(eq(organizations.id, id), isNotNull(organizations.suspendedAt)));
  return rowCount === 1;
}
