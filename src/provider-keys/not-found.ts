import type { Queries } from '../database/queries.ts';
import { ServiceError } from '../errors.ts';
import { livingOrganization } from '../organizations/organizations.ts';
import type { Owner } from './owner.ts';

/** For an unknown organisation, an unknown provider and a key that was deleted alike. */
export function keyNotFound(owner: Owner): ServiceError {
  const isPlatform = 'organizationId' in owner && owner.organizationId === null;
  const whose = isPlatform ? 'The platform' : 'This organisation';
  return new ServiceError('provider_key_not_found', `${whose} has no key for this provider.`);
}

/**
 * Why there is no key for a change to be made of: those of an organisation that has ended are not found, and there is more
 * to be said of that.
 *
 * @throws ServiceError `organization_deleted`
 */
export async function keyNotFoundToChange(queries: Queries, owner: Owner): Promise<ServiceError> {
  if ('clerkOrgId' in owner) await livingOrganization(queries, owner.clerkOrgId);
  return keyNotFound(owner);
}

/** There is a key, and this version of it was destroyed or never there. */
export function versionNotFound(): ServiceError {
  return new ServiceError('provider_key_version_not_found', 'This version of the key is not kept.');
}
