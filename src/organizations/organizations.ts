import { uuidv7 } from 'uuidv7';
import { organizationDeleted } from '../database/database-error.ts';
import type { Queries } from '../database/queries.ts';
import { lockOrganization } from './ending-store.ts';
import {
  findOrganizationId,
  type HeldOrganization,
  holdOrganization,
  holdOrganizations,
  insertOrganization,
  insertOrganizations,
} from './organization-store.ts';

/**
 * The row id of an organisation, which is made known here when it was not. Any number of first requests at once make
 * one row: the insert gives way to a concurrent one and then sees it (READ COMMITTED takes a new snapshot for each
 * statement). It does not end before the transaction does.
 *
 * @throws ServiceError `organization_deleted`
 */
export async function ensureOrganization(queries: Queries, clerkOrgId: string): Promise<string> {
  const organization =
    (await holdOrganization(queries, { clerkOrgId })) ??
    (await insertOrganization(queries, { id: uuidv7(), clerkOrgId })) ??
    (await holdOrganization(queries, { clerkOrgId }));
  if (organization === undefined) throw new Error('An organisation is missing right after it was made');
  return living(organization);
}

/**
 * The same for many at once.
 *
 * @returns the row ids by Clerk's ids, without those that have ended
 */
export async function ensureOrganizations(
  queries: Queries,
  clerkOrgIds: readonly string[],
): Promise<Map<string, string>> {
  const wanted = [...new Set(clerkOrgIds)].sort();
  const known = await holdOrganizations(queries, wanted);
  const isKnown = new Set(known.map(({ clerkOrgId }) => clerkOrgId));
  const missing = wanted.filter((clerkOrgId) => !isKnown.has(clerkOrgId));
  if (missing.length > 0) {
    await insertOrganizations(
      queries,
      missing.map((clerkOrgId) => ({ id: uuidv7(), clerkOrgId })),
    );
    known.push(...(await holdOrganizations(queries, missing)));
  }
  return new Map(known.filter(({ endedAt }) => endedAt === null).map(({ clerkOrgId, id }) => [clerkOrgId, id]));
}

/**
 * To be called first in a transaction that stores something for an organisation that was seen alive before: what it locks
 * comes after the organisation, as it does where one is ended, so that the two never wait for each other in a circle.
 *
 * @throws ServiceError `organization_deleted`
 */
export async function requireLiving(queries: Queries, organizationId: string): Promise<void> {
  const organization = await holdOrganization(queries, { id: organizationId });
  if (organization === undefined) throw new Error('An organisation has no row');
  living(organization);
}

/** The same for what is to be done once: others who call this for that organisation wait until the transaction ends. */
export async function requireLivingInTurn(queries: Queries, organizationId: string): Promise<void> {
  const organization = await holdOrganization(queries, { id: organizationId }, 'no key update');
  if (organization === undefined) throw new Error('An organisation has no row');
  living(organization);
}

/**
 * For changes of what is there already: the row id of an organisation, which does not end before the transaction does;
 * undefined when it is not known here.
 *
 * @throws ServiceError `organization_deleted`
 */
export async function livingOrganization(queries: Queries, clerkOrgId: string): Promise<string | undefined> {
  const organization = await holdOrganization(queries, { clerkOrgId });
  return organization === undefined ? undefined : living(organization);
}

/**
 * The row id of an organisation for which nobody stores anything until the transaction ends: it waits for those who do, and
 * what it reads then has all of that. Undefined when it is not known here.
 */
export async function organizationAtRest(queries: Queries, clerkOrgId: string): Promise<string | undefined> {
  return (await lockOrganization(queries, { clerkOrgId }))?.id;
}

function living({ id, endedAt }: HeldOrganization): string {
  if (endedAt !== null) throw organizationDeleted();
  return id;
}

/** The row id of an organisation; undefined when it is not known here. */
export function organizationIdOf(queries: Queries, clerkOrgId: string): Promise<string | undefined> {
  return findOrganizationId(queries, clerkOrgId);
}
