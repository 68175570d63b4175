import { z } from 'zod';
import { invalidRequest } from '../errors.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import { cursor, encodeCursor, limit } from '../paging.ts';
import { API_KEY_STATUSES } from './api-key.ts';
import type { ApiKeys } from './api-keys.ts';
import {
  apiKeyDetails,
  apiKeyItem,
  environment,
  etagOf,
  idOfKey,
  issuedKey,
  messageOf,
  name,
  status,
  toDetails,
  toItem,
} from './schemas.ts';
import { settings, settingsOf } from './settings.ts';

const params = z.object({ id: idOfKey });

/** A parameter that may be repeated is one string or several. */
const statuses = z
  .union([status.transform((one) => [one]), z.array(status)], `must be one of ${API_KEY_STATUSES.join(', ')}`)
  .meta({ description: 'Only keys with this status; repeatable: with any of these.' });

/** The organisation of a DELETE: in the query like everywhere, or in a body, as existing callers send it. */
function organizationOf(query: string | undefined, body: string | undefined): string {
  if (query !== undefined && body !== undefined && query !== body) {
    throw invalidRequest([{ pointer: '/clerkOrgId', detail: 'differs between query and body' }]);
  }
  return query ?? body ?? missingOrganization();
}

function missingOrganization(): never {
  throw invalidRequest([{ pointer: '/clerkOrgId', detail: 'is required' }]);
}

export function apiKeyEndpoints(apiKeys: ApiKeys, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/api-keys',
      tag: 'API keys',
      summary: "List an organisation's API keys",
      description:
        'Newest first. Without `limit` all of them, up to 1,000. Revoked ones are left out unless asked for, with ' +
        '`includeRevoked` or by their status. Filters all apply, to every page by itself.',
      authentication: service('api-keys:read'),
      request: {
        query: z.object({
          clerkOrgId,
          limit: limit.optional(),
          cursor: cursor.optional(),
          includeRevoked: z.enum(['true', 'false']).optional().meta({ description: 'Of no meaning beside `status`.' }),
          status: statuses.optional(),
          environment: environment.optional(),
          name: name.optional().meta({ description: 'What the name starts with.', example: 'CI' }),
        }),
      },
      responses: {
        200: {
          description: 'The keys, never the key itself or its hash.',
          schema: z.object({ keys: z.array(apiKeyItem), nextCursor: z.string().nullable() }),
        },
      },
      async handle(caller, { query }) {
        const at = new Date();
        const statuses = query.status ?? (query.includeRevoked === 'true' ? API_KEY_STATUSES : undefined);
        const filter = { statuses, environment: query.environment, namePrefix: query.name, at };
        const range = { after: query.cursor ?? null, limit: query.limit };
        const { page, next } = await apiKeys.list(caller, query.clerkOrgId, filter, range);
        return { status: 200, body: { keys: page.map((key) => toItem(key, at)), nextCursor: encodeCursor(next) } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/api-keys',
      tag: 'API keys',
      summary: 'Issue an API key',
      description:
        'The only time the key is shown, unless it is `recoverable`: then a copy is kept sealed, from now on or never. ' +
        '`scopes` omitted or null is unrestricted, an empty list allows nothing.',
      authentication: service('api-keys:write'),
      errors: ['organization_deleted', 'encryption_unavailable', 'audit_unavailable'],
      idempotent: true,
      showsKey: true,
      request: {
        body: z.strictObject({
          clerkOrgId,
          name: name.nullish(),
          environment: environment.default('live'),
          ...settings,
          recoverable: z.boolean().default(false).meta({ description: 'Whether the key can be revealed again.' }),
        }),
      },
      responses: {
        201: {
          description: 'The key, in `key`.',
          schema: issuedKey,
        },
      },
      handle(caller, { body }, answering) {
        const wanted = {
          clerkOrgId: body.clerkOrgId,
          name: body.name ?? null,
          environment: body.environment,
          recoverable: body.recoverable,
          ...settingsOf(body),
        };
        return apiKeys.issue(
          caller,
          wanted,
          answering(({ key, apiKey }) => ({
            status: 201,
            body: { ...toItem(apiKey), key, message: messageOf(apiKey) },
          })),
        );
      },
    }),
    endpoint({
      method: 'get',
      path: '/internal/api-keys/:id',
      tag: 'API keys',
      summary: 'One API key',
      authentication: service('api-keys:read'),
      errors: ['api_key_not_found'],
      request: { params, query: z.object({ clerkOrgId }) },
      responses: {
        200: { description: 'The item, with its revision as ETag.', etag: true, schema: apiKeyDetails },
      },
      async handle(caller, { params: { id }, query }) {
        const apiKey = await apiKeys.get(caller, query.clerkOrgId, id);
        return { status: 200, body: toDetails(apiKey), headers: etagOf(apiKey) };
      },
    }),
    endpoint({
      method: 'delete',
      path: '/internal/api-keys/:id',
      tag: 'API keys',
      summary: 'Revoke an API key for good',
      description: 'The organisation is taken from the query or from a JSON body. Revoking again is no error.',
      authentication: service('api-keys:write'),
      errors: ['api_key_not_found', 'audit_unavailable'],
      request: {
        params,
        query: z.object({ clerkOrgId: clerkOrgId.optional() }),
        body: z.strictObject({ clerkOrgId: clerkOrgId.optional() }).optional(),
      },
      responses: { 200: { description: 'It is revoked.', schema: z.object({ message: z.string() }) } },
      async handle(caller, { params: { id }, query, body }) {
        await apiKeys.revoke(caller, organizationOf(query.clerkOrgId, body?.clerkOrgId), id);
        return { status: 200, body: { message: 'The API key is revoked.' } };
      },
    }),
  ];
}
