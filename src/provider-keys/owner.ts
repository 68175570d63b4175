import type { Queries } from '../database/queries.ts';
import { ensureOrganization } from '../organizations/organizations.ts';

/** Whose key: an organisation's, as services name it or by its row id, or with null the platform's own. */
export type Owner = { clerkOrgId: string } | { organizationId: string | null };

export const PLATFORM = { organizationId: null } as const satisfies Owner;

/** The row id of the organisation, which is made known here when it was not. @throws ServiceError `organization_deleted` */
export async function ensureOwner(queries: Queries, owner: Owner): Promise<string | null> {
  return 'organizationId' in owner ? owner.organizationId : ensureOrganization(queries, owner.clerkOrgId);
}
