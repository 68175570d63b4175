import { z } from 'zod';
import { ROOT } from '../caller.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from './schemas.ts';
import type { Suspensions } from './suspensions.ts';

const request = { params: z.object({ clerkOrgId }), body: z.strictObject({}).optional() };
const suspension = z.object({
  clerkOrgId: z.string(),
  suspendedAt: z.iso.datetime().nullable(),
  message: z.string(),
});

export function suspensionEndpoints(suspensions: Suspensions, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/internal/organizations/:clerkOrgId/suspend',
      tag: 'Organisations',
      summary: 'Refuse all API keys of an organisation until further notice',
      description:
        'Validations are 403 `organization_suspended`. Its keys stay as they are, and what services do for it goes on. Also ' +
        'one that is not known here. Again: the same answer.',
      authentication: service(ROOT),
      errors: ['organization_deleted', 'audit_unavailable'],
      request,
      responses: { 200: { description: 'It is suspended.', schema: suspension } },
      async handle(caller, { params }) {
        const since = await suspensions.suspend(caller, params.clerkOrgId);
        const message = 'The organisation is suspended: its API keys are refused.';
        return { status: 200, body: { ...params, suspendedAt: since.toISOString(), message } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/organizations/:clerkOrgId/resume',
      tag: 'Organisations',
      summary: 'End the suspension of an organisation',
      description: 'Its API keys are again what they were. Of one that is not suspended nothing changes.',
      authentication: service(ROOT),
      errors: ['organization_deleted', 'audit_unavailable'],
      request,
      responses: { 200: { description: 'It is not suspended.', schema: suspension } },
      async handle(caller, { params }) {
        await suspensions.resume(caller, params.clerkOrgId);
        const message = 'The organisation is not suspended.';
        return { status: 200, body: { ...params, suspendedAt: null, message } };
      },
    }),
  ];
}
