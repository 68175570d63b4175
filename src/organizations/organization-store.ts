import { eq, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { organizations } from '../database/schema/index.ts';

/** An organisation as those see it who store something for it. */
export interface HeldOrganization {
  id: string;
  endedAt: Date | null;
}

const held = { id: organizations.id, endedAt: organizations.endedAt };

/**
 * Holds the organisation as it is until the transaction ends: whoever ends it waits for that, and whoever comes here while
 * it is being ended waits and then sees that it has.
 */
export async function holdOrganization(
  queries: Queries,
  which: { id: string } | { clerkOrgId: string },
  strength: 'key share' | 'no key update' = 'key share',
): Promise<HeldOrganization | undefined> {
  const [row] = await queries
    .select(held)
    .from(organizations)
    .where('id' in which ? eq(organizations.id, which.id) : eq(organizations.clerkOrgId, which.clerkOrgId))
    .for(strength);
  return row;
}

/** Several, by Clerk's ids, in the order in which everybody who holds several does; those that are not known are left out. */
export async function holdOrganizations(
  queries: Queries,
  clerkOrgIds: readonly string[],
): Promise<(HeldOrganization & { clerkOrgId: string })[]> {
  return queries
    .select({ ...held, clerkOrgId: organizations.clerkOrgId })
    .from(organizations)
    .where(sql`${organizations.clerkOrgId} = any(${sql.param([...clerkOrgIds])}::text[])`)
    .orderBy(organizations.clerkOrgId)
    .for('key share');
}

/** Leaves out those that are there already, or appear while this runs. */
export async function insertOrganizations(
  queries: Queries,
  rows: readonly { id: string; clerkOrgId: string }[],
): Promise<void> {
  await queries
    .insert(organizations)
    .values([...rows])
    .onConflictDoNothing({ target: organizations.clerkOrgId });
}

export async function findOrganizationId(queries: Queries, clerkOrgId: string): Promise<string | undefined> {
  const [row] = await queries
    .select({ id: organizations.id })
    .from(organizations)
    .where(eq(organizations.clerkOrgId, clerkOrgId));
  return row?.id;
}

/** Undefined when the organisation is already there, or appears while this runs. */
export async function insertOrganization(
  queries: Queries,
  organization: { id: string; clerkOrgId: string },
): Promise<HeldOrganization | undefined> {
  const [row] = await queries
    .insert(organizations)
    .values(organization)
    .onConflictDoNothing({ target: organizations.clerkOrgId })
    .returning(held);
  return row;
}
