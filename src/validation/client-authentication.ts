import { z } from 'zod';
import { type ErrorCode, ServiceError } from '../errors.ts';
import { bearerToken, type Credentials } from '../http/credentials.ts';
import type { Admission, Authentication, ClientAuthentication, RawInput } from '../http/endpoint.ts';
import type { Admissions } from './admissions.ts';
import { originReader, type ServiceKeyTest } from './client-origin.ts';
import type { KeyHolder } from './key-holder.ts';
import { RATE_LIMIT_HEADERS, rateLimitHeaders } from './rate-limit-headers.ts';
import { ADMISSION_REFUSALS, REFUSAL_CODES, refused } from './refusal.ts';
import type { KeyValidation, Validation } from './validation.ts';

const REFUSED: readonly ErrorCode[] = ['invalid_request', 'api_key_missing', ...Object.values(REFUSAL_CODES)];
const NO_SCOPES: readonly string[] = [];

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
 * Knows a customer by `Authorization: Bearer <api key>`, and by nothing else. An endpoint that asks for no scope here says
 * itself how it admits the holder, if it does: see `admission`.
 */
export function clientAuthentication(
  validation: KeyValidation,
  admissions: Admissions,
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
      authorize: (holder) => admissions.requireScopes(holder, [scope]),
      ...admission(admissions),
    };
  };
}

/** How an endpoint admits the holder of a good key, which is counted. It tells of the rate limit, if the key has one. */
export function admission(admissions: Admissions): Pick<Authentication<KeyHolder>, 'admit' | 'answerHeaders'> {
  return {
    answerHeaders: RATE_LIMIT_HEADERS,
    admit(holder, input) {
      try {
        const admitted = admissions.admit(holder, askedScopes(input));
        if (!(admitted instanceof Promise)) return toldOf(holder, null);
        return admitted.then(
          () => toldOf(holder, null),
          (refusal) => toldOf(holder, refusal),
        );
      } catch (refusal) {
        return toldOf(holder, refusal);
      }
    },
  };
}

/** Of an endpoint that takes `scope`, as its schema made it. */
function askedScopes({ query }: RawInput): readonly string[] {
  return (query as { scope?: readonly string[] } | undefined)?.scope ?? NO_SCOPES;
}

/** Of a key with a rate limit the headers say how that stands, whatever comes of the request. */
function toldOf({ quota }: KeyHolder, refusal: unknown): Admission | null {
  if (quota !== null) return { headers: rateLimitHeaders(quota), refusal };
  if (refusal !== null) throw refusal;
  return null;
}

/**
 * Knows the holder of a key in whatever state the key is, as long as it was ever issued: for what holders may do about their
 * keys at any time, and from anywhere.
 */
export function ownerAuthentication(
  validation: KeyValidation,
  isServiceKey: ServiceKeyTest,
): Authentication<KeyHolder> {
  const originOf = originReader(isServiceKey);
  return {
    security: 'apiKey',
    needs: null,
    errors: ['invalid_request', 'api_key_missing', 'api_key_invalid', 'rate_limited'],
    headers,
    async authenticate(credentials) {
      const key = sentKey(credentials);
      return holderOf(await validation.identify(originOf(credentials), key));
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
