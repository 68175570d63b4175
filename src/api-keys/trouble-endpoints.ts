import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { KeyTrouble } from './key-trouble.ts';
import { apiKeyItem, presentedKey, toItem } from './schemas.ts';

export function keyTroubleEndpoints(trouble: KeyTrouble, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/internal/api-keys/identify',
      tag: 'API keys',
      summary: 'Whose key a presented key is',
      description: 'In whatever state it is: revoked ones too. It is no use of the key.',
      authentication: service('api-keys:read'),
      errors: ['api_key_not_found'],
      request: { body: z.strictObject({ key: presentedKey }) },
      responses: {
        200: { description: 'The item, and its organisation.', schema: apiKeyItem.extend({ clerkOrgId: z.string() }) },
      },
      async handle(caller, { body }) {
        const apiKey = await trouble.identify(caller, body.key);
        return { status: 200, body: { ...toItem(apiKey), clerkOrgId: apiKey.clerkOrgId } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/organizations/:clerkOrgId/revoke-api-keys',
      tag: 'Organisations',
      summary: 'Revoke all API keys of an organisation for good',
      description:
        'New ones can be issued after it. Of very many it revokes as many as there is time for; asking again goes on.',
      authentication: service('api-keys:write'),
      errors: ['audit_unavailable'],
      request: { params: z.object({ clerkOrgId }), body: z.strictObject({}).optional() },
      responses: {
        200: {
          description: 'They are revoked, when `complete` is true all of them.',
          schema: z.object({
            revoked: z.int().meta({ description: 'How many were revoked now.' }),
            complete: z.boolean().meta({ description: 'false: there are more; ask again.' }),
            message: z.string(),
          }),
        },
      },
      async handle(caller, { params }) {
        const done = await trouble.revokeAll(caller, params.clerkOrgId);
        const message = done.complete ? 'All API keys of the organisation are revoked.' : 'There are more: ask again.';
        return { status: 200, body: { ...done, message } };
      },
    }),
  ];
}
