import { z } from 'zod';
import { expiresAt } from '../expiry.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { ifMatch } from '../http/if-match.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { KeyUpdates } from './key-updates.ts';
import { apiKeyDetails, etagOf, idOfKey, metadata, name, scopes, toDetails } from './schemas.ts';

/** Tags that are no revision are of no revision that there is. */
const revisionsOf = (tags: readonly string[] | null | undefined) =>
  tags?.filter((tag) => /^[1-9]\d{0,9}$/.test(tag)).map(Number) ?? null;

/** What becomes of a key once it is issued. */
export function apiKeyChangeEndpoints(updates: KeyUpdates, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'patch',
      path: '/internal/api-keys/:id',
      tag: 'API keys',
      summary: 'Change the settings of an API key',
      description:
        'What is left out stays, null clears, a value sets; `metadata` is set as a whole. What is so already is no change. ' +
        'With `If-Match` nothing is changed unless the item still has that `ETag`. Only the root caller may set `scopes` ' +
        'to null where there was a list.',
      authentication: service('api-keys:write'),
      errors: [
        'api_key_not_found',
        'organization_deleted',
        'api_key_ended',
        'precondition_failed',
        'audit_unavailable',
      ],
      request: {
        params: z.object({ id: idOfKey }),
        headers: z.object({ 'If-Match': ifMatch.optional() }),
        body: z.strictObject({
          clerkOrgId,
          name: name.nullish(),
          enabled: z.boolean().optional(),
          expiresAt: expiresAt.nullish(),
          scopes: scopes.nullish(),
          metadata: metadata.nullish(),
        }),
      },
      responses: {
        200: { description: 'The item as it is now, with its revision as ETag.', etag: true, schema: apiKeyDetails },
      },
      async handle(caller, { params: { id }, headers, body: { clerkOrgId, ...wanted } }) {
        const which = { clerkOrgId, id, revisions: revisionsOf(headers['If-Match']) };
        const apiKey = await updates.update(caller, which, {
          ...wanted,
          metadata: wanted.metadata === null ? {} : wanted.metadata,
        });
        return { status: 200, body: toDetails(apiKey), headers: etagOf(apiKey) };
      },
    }),
  ];
}
