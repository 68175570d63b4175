import { z } from 'zod';
import { presentedKey, scope } from '../api-keys/schemas.ts';
import { MAX_SCOPES } from '../api-keys/scopes.ts';
import { ERROR_CODES } from '../errors.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { normalAddress } from '../ip-address.ts';
import type { BatchValidation } from './batch.ts';
import { validation } from './endpoints.ts';

const MOST_KEYS = 100;

const clientIp = z
  .string()
  .refine((text) => normalAddress(text.trim()) !== null, 'has an X-Client-IP that is no IP address')
  .meta({ description: 'The address of the client that the keys came from, IPv4 or IPv6.', example: '203.0.113.7' });

const why = {
  code: z.enum(ERROR_CODES),
  error: z.string(),
  retryAfterSeconds: z.int().positive().optional().meta({
    description: 'When it is worth another try, where that is known: what `GET /validate` says as `Retry-After`.',
  }),
};
const result = z.union([
  validation,
  z
    .object({ valid: z.literal(false), ...why })
    .meta({ description: 'It is refused; `code` as `GET /validate` has it.' }),
  z.object({ valid: z.null(), ...why }).meta({
    description:
      'Nobody could say just now: `database_unavailable` or `overloaded`. Nothing is known against the key: ask again, or ' +
      'answer 503.',
  }),
]);

/** For gateways. */
export function batchValidationEndpoint(batch: BatchValidation, service: ServiceAuthentication): Endpoint {
  return endpoint({
    method: 'post',
    path: '/internal/api-keys/validate',
    tag: 'API keys',
    summary: 'Whether API keys are good, and whose they are, up to 100 at once',
    description:
      'Each is judged like by `GET /validate`, and is a use of the key. What befalls one key is said of that one: a batch is ' +
      '200, also where the database is away and only what is remembered can be answered.',
    authentication: service('api-keys:read'),
    request: {
      headers: z.object({ 'X-Client-IP': clientIp.optional() }),
      body: z.strictObject({
        keys: z.array(presentedKey).min(1).max(MOST_KEYS),
        scopes: z
          .array(scope)
          .max(MAX_SCOPES)
          .optional()
          .meta({ description: 'That each key must have, all of them.' }),
      }),
    },
    responses: {
      200: { description: 'A result for each key, in their order.', schema: z.object({ results: z.array(result) }) },
    },
    async handle(caller, { headers, body: { keys, scopes = [] } }) {
      const named = headers['X-Client-IP'];
      const { requestId, address } = caller;
      const origin =
        named === undefined
          ? { requestId, address, addressIsClients: false }
          : { requestId, address: normalAddress(named.trim()), addressIsClients: true };
      return { status: 200, body: { results: await batch.validate(caller, origin, { keys, scopes }) } };
    },
  });
}
