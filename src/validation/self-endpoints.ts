import { z } from 'zod';
import type { ApiKeys } from '../api-keys/api-keys.ts';
import { apiKeyDetails, toDetails } from '../api-keys/schemas.ts';
import { type Authentication, type ClientAuthentication, type Endpoint, endpoint } from '../http/endpoint.ts';
import type { KeyHolder } from './key-holder.ts';

/** With the look-up of the key before it (0.75 s) below 2 s. */
const LIMIT_MS = 1_150;

/** What the holder of a key may do with the key itself. */
export function selfEndpoints(
  apiKeys: ApiKeys,
  client: ClientAuthentication<KeyHolder>,
  owner: Authentication<KeyHolder>,
): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/validate/self',
      tag: 'Validation',
      summary: 'The API key that asks, as its organisation sees it',
      description: 'That is no use of the key.',
      authentication: client(null),
      request: {},
      responses: { 200: { description: 'The item.', schema: apiKeyDetails } },
      async handle(holder) {
        const apiKey = await apiKeys.get(holder, holder.known.clerkOrgId, holder.apiKeyId, LIMIT_MS);
        return { status: 200, body: toDetails(apiKey) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/validate/self/revoke',
      tag: 'Validation',
      summary: 'Revoke the API key that asks, for good',
      description:
        'For its holder, when it has leaked. Also a key that is expired or disabled, or whose organisation is suspended, from ' +
        'any address and whatever its scopes. Revoking again is no error.',
      authentication: owner,
      errors: ['audit_unavailable'],
      request: { body: z.strictObject({}).optional() },
      responses: { 200: { description: 'It is revoked.', schema: z.object({ message: z.string() }) } },
      async handle(holder) {
        await apiKeys.revoke(holder, holder.known.clerkOrgId, holder.apiKeyId, LIMIT_MS);
        return { status: 200, body: { message: 'This API key is revoked.' } };
      },
    }),
  ];
}
