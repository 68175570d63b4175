import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { rateLimit } from '../rate-limits/schemas.ts';
import type { DefaultRateLimits } from './default-rate-limits.ts';
import { clerkOrgId } from './schemas.ts';

const path = '/internal/organizations/:clerkOrgId/rate-limit';
const params = z.object({ clerkOrgId });
const answer = z.object({ clerkOrgId: z.string(), rateLimit: rateLimit.nullable() });

export function defaultRateLimitEndpoints(limits: DefaultRateLimits, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path,
      tag: 'Organisations',
      summary: "The rate limit of an organisation's keys that have none of their own",
      authentication: service('api-keys:read'),
      request: { params },
      responses: { 200: { description: 'null: none.', schema: answer } },
      async handle(caller, { params }) {
        return { status: 200, body: { ...params, rateLimit: await limits.get(caller, params.clerkOrgId) } };
      },
    }),
    endpoint({
      method: 'put',
      path,
      tag: 'Organisations',
      summary: "Set the rate limit of an organisation's keys that have none of their own",
      description:
        'Each such key has this limit for itself: what one uses up is not missing to another. null: none. It goes for keys ' +
        'that there are and for those to come, also of an organisation that is not known here.',
      authentication: service('api-keys:write'),
      errors: ['organization_deleted', 'audit_unavailable'],
      request: { params, body: z.strictObject({ rateLimit: rateLimit.nullable() }) },
      responses: { 200: { description: 'It is set.', schema: answer } },
      async handle(caller, { params, body }) {
        await limits.set(caller, params.clerkOrgId, body.rateLimit);
        return { status: 200, body: { ...params, ...body } };
      },
    }),
  ];
}
