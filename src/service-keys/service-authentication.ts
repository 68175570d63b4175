import { timingSafeEqual } from 'node:crypto';
import { type Origin, ROOT, type ServiceCaller } from '../caller.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import { bearerToken, type Credentials } from '../http/credentials.ts';
import type { ServiceAuthentication } from '../http/endpoint.ts';
import { hashKey } from '../key-format.ts';
import type { KnownServices, Recognition } from './known-services.ts';
import { requirePermission, requireProvider } from './permissions.ts';

const ERRORS: readonly ErrorCode[] = ['service_key_missing', 'service_key_invalid', 'service_key_forbidden'];

/** Tells whether a key is one of these. Takes as long for every key. */
export function rootKeyTest(rootKeys: readonly string[]): (key: string) => boolean {
  const accepted = rootKeys.map((key) => hashKey(key.trim()));
  return (key) => {
    // Every comparison is made, whichever matches. Digests are of one length, so that none of it tells the key's.
    const presented = hashKey(key);
    const matches = accepted.map((candidate) => timingSafeEqual(candidate, presented));
    return matches.includes(true);
  };
}

/** Tells whether a service key is good, whatever it may do. A promise only where it has to be looked up. */
export function serviceKeyTest(isRootKey: (key: string) => boolean, services: KnownServices) {
  return (key: string): boolean | Promise<boolean> => {
    if (isRootKey(key)) return true;
    const outcome = services.recognize(key);
    return outcome instanceof Promise ? outcome.then(({ known }) => known) : outcome.known;
  };
}

/**
 * Knows the platform's services by the key that they send: `X-Service-Key`, or, when that is absent, `X-API-Key`, or
 * `Authorization: Bearer`. The root caller's is known without a database.
 *
 * @param isRootKey see `rootKeyTest`; of every root key that is accepted, the current one and perhaps the one before
 */
export function serviceAuthentication(
  isRootKey: (key: string) => boolean,
  services: KnownServices,
): ServiceAuthentication {
  const authenticate = (credentials: Credentials) => {
    const { origin } = credentials;
    const key = presentedKey(credentials);
    if (isRootKey(key)) return rootCaller(origin);
    const outcome = services.recognize(key);
    return outcome instanceof Promise ? outcome.then((later) => callerOf(origin, later)) : callerOf(origin, outcome);
  };
  return (needs) => ({
    security: 'serviceKey',
    needs,
    errors: ERRORS,
    authenticate,
    authorize: (caller) => requirePermission(caller, needs),
    ...(needs === 'provider-keys:reveal' ? { authorizeInput: requireProviderOfPath } : {}),
  });
}

function rootCaller({ requestId, address }: Origin): ServiceCaller {
  return { requestId, address, kind: 'service', name: ROOT, permissions: null, revealProviders: null };
}

function callerOf({ requestId, address }: Origin, outcome: Recognition): ServiceCaller {
  if (!outcome.known) throw new ServiceError('service_key_invalid', sentence(outcome.refusal));
  const { name, permissions, revealProviders } = outcome.service;
  return { requestId, address, kind: 'service', name, permissions, revealProviders };
}

function sentence(refusal: Extract<Recognition, { known: false }>['refusal']): string {
  switch (refusal.reason) {
    case 'unknown':
      return 'This service key is not accepted.';
    case 'revoked':
      return 'This service key was revoked.';
    case 'expired':
      return `This service key expired at ${refusal.expiredAt.toISOString()}.`;
  }
}

/** Every path that reveals a provider key names the provider. */
function requireProviderOfPath(caller: ServiceCaller, { params }: { params?: unknown }): void {
  requireProvider(caller, (params as { provider?: unknown } | undefined)?.provider);
}

function presentedKey({ header }: Credentials): string {
  const serviceKey = header('x-service-key');
  const apiKey = header('x-api-key');
  const authorization = header('authorization');
  if (serviceKey === null || apiKey === null || authorization === null) {
    throw new ServiceError('service_key_invalid', 'A header that carries the service key was sent more than once.');
  }
  const bearer = authorization === undefined ? undefined : bearerToken(authorization);
  const key = serviceKey ?? apiKey ?? bearer;
  if (!key) throw new ServiceError('service_key_missing', 'Send your service key in the X-Service-Key header.');
  return key;
}
