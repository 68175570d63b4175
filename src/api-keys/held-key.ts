import type { Queries } from '../database/queries.ts';
import { ServiceError } from '../errors.ts';
import { livingOrganization } from '../organizations/organizations.ts';
import { type LockedApiKey, lockApiKey } from './change-store.ts';
import { keyNotFound } from './not-found.ts';

/**
 * For changes of a key: the organisation does not end, and nobody else changes the key, before the transaction does. In this
 * order, as where an organisation is ended.
 *
 * @throws ServiceError `organization_deleted`, `api_key_not_found`, or `api_key_ended` for a key that was revoked
 */
export async function holdApiKey(queries: Queries, clerkOrgId: string, id: string): Promise<LockedApiKey> {
  const organizationId = await livingOrganization(queries, clerkOrgId);
  const key = organizationId === undefined ? undefined : await lockApiKey(queries, organizationId, id);
  if (key === undefined) return keyNotFound();
  if (key.revokedAt !== null) keyEnded('This API key was revoked, which is for good; nothing of it can be changed.');
  return key;
}

export function keyEnded(sentence: string): never {
  throw new ServiceError('api_key_ended', sentence);
}
