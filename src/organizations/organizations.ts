import { uuidv7 } from 'uuidv7';
import type { Queries } from '../database/queries.ts';
import { findOrganizationId, insertOrganization } from './organization-store.ts';

/**
 * The row id of an organisation, which is made known here when it was not. Any number of first requests at once make
 * one row: the insert gives way to a concurrent one and then sees it (READ COMMITTED takes a new snapshot for each
 * statement).
 */
export async function ensureOrganization(queries: Queries, clerkOrgId: string): Promise<string> {
  const id =
    (await findOrganizationId(queries, clerkOrgId)) ??
    (await insertOrganization(queries, { id: uuidv7(), clerkOrgId })) ??
    (await findOrganizationId(queries, clerkOrgId));
  if (id === undefined) throw new Error('An organisation is missing right after it was made');
  return id;
}

/** The row id of an organisation; undefined when it is not known here. */
export function organizationIdOf(queries: Queries, clerkOrgId: string): Promise<string | undefined> {
  return findOrganizationId(queries, clerkOrgId);
}
