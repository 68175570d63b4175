import { type Permission, ROOT, type ServiceCaller } from '../caller.ts';
import { ServiceError } from '../errors.ts';

/** @throws ServiceError `service_key_forbidden`, which names the permission that the caller lacks */
export function requirePermission({ permissions }: ServiceCaller, needed: Permission | typeof ROOT): void {
  if (permissions === null) return;
  if (needed === ROOT) forbid('Only the root service key may do this: there is no permission for it.');
  if (!permissions.includes(needed)) forbid(`This service key lacks the permission ${needed}.`);
}

/**
 * Who may be shown provider keys may be shown those of certain providers, or of all. A limited caller that asks for what
 * is not known to be a provider is refused.
 *
 * @throws ServiceError `service_key_forbidden`
 */
export function requireProvider({ revealProviders }: ServiceCaller, provider: unknown): void {
  if (revealProviders === null) return;
  if (typeof provider !== 'string' || !revealProviders.includes(provider)) {
    forbid('This service key has the permission provider-keys:reveal for other providers only.');
  }
}

function forbid(detail: string): never {
  throw new ServiceError('service_key_forbidden', detail);
}
