import { ServiceError } from '../errors.ts';
import type { Owner } from './owner.ts';

/** For an unknown organisation, an unknown provider and a key that was deleted alike. */
export function keyNotFound(owner: Owner): ServiceError {
  const isPlatform = 'organizationId' in owner && owner.organizationId === null;
  const whose = isPlatform ? 'The platform' : 'This organisation';
  return new ServiceError('provider_key_not_found', `${whose} has no key for this provider.`);
}

/** There is a key, and this version of it was destroyed or never there. */
export function versionNotFound(): ServiceError {
  return new ServiceError('provider_key_version_not_found', 'This version of the key is not kept.');
}
