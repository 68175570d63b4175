import { z } from 'zod';
import { type ErrorCode, ServiceError } from '../errors.ts';
import { bearerToken, type Credentials } from '../http/credentials.ts';
import type { Authentication, ClientAuthentication } from '../http/endpoint.ts';
import { originReader, type ServiceKeyTest } from './client-origin.ts';
import { ADMISSION_REFUSALS, REFUSAL_CODES, refused } from './refusal.ts';
import type { KeyHolder, KeyValidation, Validation } from './validation.ts';

const REFUSED: readonly ErrorCode[] = ['invalid_request', 'api_key_missing', ...Object.values(REFUSAL_CODES)];

/** For the documentation: how a service says for whom it asks. */
const headers = z.object({
  'X-Client-IP': z
    .string()
    .optional()
    .meta({
      description:
        'The address of the client that a gateway asks for, IPv4 or IPv6. Believed together with a valid service key in ' +
        '`X-Service-Key`, and ignored without.',
      example: '203.0.113.7',
    }),
  'X-Service-Key': z.string().optional().meta({
    description:
      'Any valid service key: `X-Client-IP` is believed. It decides nothing else here; a wrong one is ignored.',
  }),
});

/**
 * Knows a customer by `Authorization: Bearer <api key>`, and by nothing else. An endpoint that asks for no scope here admits the
 * holder itself, once it knows what is asked for: see `KeyValidation.admit`.
 */
export function clientAuthentication(
  validation: KeyValidation,
  isServiceKey: ServiceKeyTest,
): ClientAuthentication<KeyHolder> {
  const originOf = originReader(isServiceKey);
  const authenticate = (credentials: Credentials) => {
    // First: who has no key learns nothing of what else is wrong.
    const key = sentKey(credentials);
    const outcome = validation.validate(originOf(credentials), key);
    return outcome instanceof Promise ? outcome.then(holderOf) : holderOf(outcome);
  };
  return (scope) => {
    if (scope === null) return { security: 'apiKey', needs: null, errors: REFUSED, headers, authenticate };
    return {
      security: 'apiKey',
      needs: scope,
      errors: [...REFUSED, ...ADMISSION_REFUSALS],
      headers,
      authenticate,
      authorize: (holder) => validation.requireScopes(holder, [scope]),
      authorizeInput: (holder) => validation.admit(holder, []),
    };
  };
}

/**
 * Knows the holder of a key in whatever state the key is, as long as it was ever issued: for what holders may do about their
 * keys at any time, and from anywhere.
 */
export function ownerAuthentication(validation: KeyValidation): Authentication<KeyHolder> {
  return {
    security: 'apiKey',
    needs: null,
    errors: ['api_key_missing', 'api_key_invalid'],
    async authenticate(credentials) {
      const holder = await validation.identify(credentials.origin, sentKey(credentials));
      return holder ?? holderOf({ valid: false, refusal: { reason: 'invalid' } });
    },
  };
}

function sentKey({ header }: Credentials): string {
  const authorization = header('authorization');
  if (authorization === null) {
    throw new ServiceError('api_key_invalid', 'The Authorization header was sent more than once.');
  }
  const key = authorization === undefined ? undefined : bearerToken(authorization);
  if (key === undefined) {
    throw new ServiceError('api_key_missing', 'Send your API key as `Authorization: Bearer <key>`.');
  }
  return key;
}

function holderOf(outcome: Validation): KeyHolder {
  if (!outcome.valid) throw refused(outcome.refusal);
  return outcome.holder;
}
