import { z } from 'zod';
import { ROOT } from '../caller.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import type { OrganizationEndings } from './endings.ts';
import { clerkOrgId } from './schemas.ts';

const destroyed = z
  .object({
    apiKeys: z.int().meta({ description: 'API keys that it ever had. All are revoked.' }),
    providerKeys: z.int().meta({ description: 'Providers that it had a key of.' }),
    secrets: z.int().meta({ description: 'Sealed secrets: one for each version that was kept.' }),
    dataKeys: z.array(z.uuid()).meta({ description: 'The data keys that had sealed them.' }),
  })
  .meta({ description: 'The same in every answer, and in the audit.' });

export function organizationEndpoints(endings: OrganizationEndings, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'delete',
      path: '/internal/organizations/:clerkOrgId',
      tag: 'Organisations',
      summary: 'End an organisation, and destroy its secrets',
      description:
        'Cannot be undone. Its API keys are revoked, its provider keys and its data keys destroyed; whatever would be ' +
        'stored for it later is 409 `organization_deleted`, also where it was not known here. Again: the same answer. ' +
        'Where there are more secrets than are destroyed in the time of a request it is 202: the rest is destroyed ' +
        'without being asked for, and asking again tells of it.',
      authentication: service(ROOT),
      errors: ['audit_unavailable'],
      request: { params: z.object({ clerkOrgId }) },
      responses: {
        200: {
          description: 'Nothing of it is left but its tombstone.',
          schema: z.object({
            clerkOrgId: z.string(),
            endedAt: z.iso.datetime(),
            destroyedAt: z.iso.datetime(),
            destroyed,
            message: z.string(),
          }),
        },
        202: {
          description: 'It has ended, and its destruction is under way.',
          schema: z.object({
            clerkOrgId: z.string(),
            endedAt: z.iso.datetime(),
            destroyedAt: z.null(),
            destroyed: z.null(),
            message: z.string(),
          }),
        },
      },
      async handle(caller, { params }) {
        const { clerkOrgId, endedAt, end } = await endings.destroy(caller, params.clerkOrgId);
        const ended = { clerkOrgId, endedAt: endedAt.toISOString() };
        if (end === null) {
          const message = 'The organisation has ended, and its secrets are being destroyed.';
          return { status: 202, body: { ...ended, destroyedAt: null, destroyed: null, message } };
        }
        const { destroyedAt, destroyed } = end;
        const message = 'The organisation has ended, and its secrets are destroyed.';
        return { status: 200, body: { ...ended, destroyedAt: destroyedAt.toISOString(), destroyed, message } };
      },
    }),
  ];
}
