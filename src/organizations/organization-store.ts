import { eq } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { organizations } from '../database/schema.ts';

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
): Promise<string | undefined> {
  const [row] = await queries
    .insert(organizations)
    .values(organization)
    .onConflictDoNothing({ target: organizations.clerkOrgId })
    .returning({ id: organizations.id });
  return row?.id;
}
