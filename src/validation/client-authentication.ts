import { z } from 'zod';
import { type ErrorCode, ServiceError } from '../errors.ts';
import { bearerToken, type Credentials } from '../http/credentials.ts';
import type { ClientAuthentication } from '../http/endpoint.ts';
import { originReader, type ServiceKeyTest } from './client-origin.ts';
import { ADMISSION_REFUSALS, type KeyRefusal, REFUSAL_CODES } from './refusal.ts';
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
    const authorization = credentials.header('authorization');
    if (authorization === null) {
      throw new ServiceError('api_key_invalid', 'The Authorization header was sent more than once.');
    }
    const key = authorization === undefined ? undefined : bearerToken(authorization);
    if (key === undefined) {
      throw new ServiceError('api_key_missing', 'Send your API key as `Authorization: Bearer <key>`.');
    }
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

function holderOf(outcome: Validation): KeyHolder {
  if (outcome.valid) return outcome.holder;
  const { refusal } = outcome;
  // For who wonders in the log why a key is refused: behind a gateway it may be the gateway's.
  const context = refusal.reason === 'address' ? { address: refusal.address } : {};
  throw new ServiceError(REFUSAL_CODES[refusal.reason], sentence(refusal), { context });
}

function sentence(refusal: KeyRefusal): string {
  switch (refusal.reason) {
    case 'invalid':
      return 'This is not a valid API key.';
    case 'revoked':
      return 'This API key was revoked.';
    case 'disabled':
      return 'This API key is disabled.';
    case 'suspended':
      return 'The organisation that this API key belongs to is suspended.';
    case 'address':
      return 'This API key may not be used from this address.';
    case 'expired':
      return `This API key expired at ${refusal.expiredAt.toISOString()}.`;
  }
}
