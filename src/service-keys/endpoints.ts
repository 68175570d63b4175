import { z } from 'zod';
import { expiresAt } from '../expiry.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { cursor, encodeCursor, limit } from '../paging.ts';
import { name, permissions, revealProviders, serviceKeyItem, toItem } from './schemas.ts';
import type { ServiceKeys } from './service-keys.ts';

const newServiceKey = z
  .strictObject({
    name,
    permissions: permissions.optional(),
    revealProviders: revealProviders.nullish(),
    expiresAt: expiresAt.nullish(),
  })
  // A list that limits nothing was meant to go with the permission.
  .refine((body) => !body.revealProviders || body.permissions?.includes('provider-keys:reveal'), {
    path: ['revealProviders'],
    message: 'is for a key with the permission provider-keys:reveal',
  });

export function serviceKeyEndpoints(serviceKeys: ServiceKeys, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/service-keys',
      tag: 'Service keys',
      summary: "List the keys of the platform's services",
      description:
        'Newest first. Without `limit` all of them, up to 1,000. Revoked ones are left out unless asked for. The root ' +
        "caller's key is configured, and not among them.",
      authentication: service('root'),
      request: {
        query: z.object({
          limit: limit.optional(),
          cursor: cursor.optional(),
          includeRevoked: z.enum(['true', 'false']).optional(),
        }),
      },
      responses: {
        200: {
          description: 'The keys, never the key itself or its hash.',
          schema: z.object({ keys: z.array(serviceKeyItem), nextCursor: z.string().nullable() }),
        },
      },
      async handle(caller, { query }) {
        const { page, next } = await serviceKeys.list(caller, {
          includeRevoked: query.includeRevoked === 'true',
          after: query.cursor ?? null,
          limit: query.limit,
        });
        return { status: 200, body: { keys: page.map(toItem), nextCursor: encodeCursor(next) } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/service-keys',
      tag: 'Service keys',
      summary: 'Issue a service key',
      description:
        'The only time the key is shown. It may do what `permissions` lists, and nothing without. `revealProviders` limits ' +
        '`provider-keys:reveal` to some providers.',
      authentication: service('root'),
      errors: ['audit_unavailable'],
      idempotent: true,
      showsKey: true,
      request: { body: newServiceKey },
      responses: {
        201: {
          description: 'The key, in `key`.',
          schema: serviceKeyItem.extend({
            key: z.string().meta({ description: 'The whole key. It is not stored and cannot be shown again.' }),
            message: z.string(),
          }),
        },
      },
      handle(caller, { body }, answering) {
        const wanted = {
          name: body.name,
          permissions: body.permissions ?? [],
          revealProviders: body.revealProviders ?? null,
          expiresAt: body.expiresAt ?? null,
        };
        const message = 'Keep this key: it is shown only once.';
        return serviceKeys.issue(
          caller,
          wanted,
          answering(({ key, serviceKey }) => ({ status: 201, body: { ...toItem(serviceKey), key, message } })),
        );
      },
    }),
    endpoint({
      method: 'delete',
      path: '/internal/service-keys/:id',
      tag: 'Service keys',
      summary: 'Revoke a service key for good',
      description: 'Revoking again is no error.',
      authentication: service('root'),
      errors: ['service_key_not_found', 'audit_unavailable'],
      request: { params: z.object({ id: z.string().meta({ description: 'A UUID.' }) }) },
      responses: { 200: { description: 'It is revoked.', schema: z.object({ message: z.string() }) } },
      async handle(caller, { params: { id } }) {
        await serviceKeys.revoke(caller, id);
        return { status: 200, body: { message: 'The service key is revoked.' } };
      },
    }),
  ];
}
