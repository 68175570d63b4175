import { createHash, timingSafeEqual } from 'node:crypto';
import type { ServiceCaller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import { bearerToken, type Credentials } from '../http/credentials.ts';
import type { Authentication } from '../http/endpoint.ts';

/** The name of whoever holds KEY_SERVICE_API_KEY, or the previous one. */
const ROOT = 'root';

/**
 * Knows the platform's services by the key that they send: `X-Service-Key`, or, when that is absent, `X-API-Key`, or
 * `Authorization: Bearer`.
 *
 * @param serviceKeys every key that is accepted, the current one and perhaps the one before
 */
export function serviceAuthentication(serviceKeys: readonly string[]): Authentication<ServiceCaller> {
  const accepted = serviceKeys.map((key) => digest(key.trim()));
  return {
    security: 'serviceKey',
    errors: ['service_key_missing', 'service_key_invalid'],
    authenticate(credentials) {
      const key = presentedKey(credentials);
      // Every comparison is made, whichever matches. Digests are of one length, so that none of it tells the key's.
      const presented = digest(key);
      const matches = accepted.map((candidate) => timingSafeEqual(candidate, presented));
      if (!matches.includes(true)) {
        throw new ServiceError('service_key_invalid', 'This service key is not accepted.');
      }
      return { ...credentials.origin, kind: 'service', name: ROOT };
    },
  };
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

function digest(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}
