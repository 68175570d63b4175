import { z } from 'zod';
import { ROOT } from '../caller.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { RevealFreezes } from './reveal-freezes.ts';

const tag = 'Reveals';
const body = z.strictObject({}).optional();
const freeze = z.object({
  frozenAt: z.iso.datetime().nullable().meta({ description: 'Since when they are; null: they are not.' }),
  message: z.string(),
});
const freezeOfOne = freeze.extend({ clerkOrgId: z.string() });

const REFUSED =
  'Whatever would hand out a stored secret is 423 `reveals_frozen`: to services, to holders of API keys, and to the ' +
  'provider that a check would ask. Validations, masked lists, saving, rolling back and removing go on.';
const FROZEN = 'Secrets are revealed to nobody until further notice.';

/** For the time in which it is not clear who asks for secrets. */
export function revealFreezeEndpoints(freezes: RevealFreezes, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/internal/freeze-reveals',
      tag,
      summary: 'Reveal no secret to anybody until further notice',
      description: `${REFUSED} The platform's own secrets too. Again: the same answer.`,
      authentication: service(ROOT),
      errors: ['audit_unavailable'],
      request: { body },
      responses: { 200: { description: 'They are frozen, everywhere.', schema: freeze } },
      async handle(caller) {
        const since = await freezes.freeze(caller, null);
        return { status: 200, body: { frozenAt: since.toISOString(), message: FROZEN } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/unfreeze-reveals',
      tag,
      summary: 'Reveal secrets again',
      description: 'Those of organisations that are frozen by themselves stay so.',
      authentication: service(ROOT),
      errors: ['audit_unavailable'],
      request: { body },
      responses: { 200: { description: 'They are not frozen everywhere.', schema: freeze } },
      async handle(caller) {
        await freezes.unfreeze(caller, null);
        return { status: 200, body: { frozenAt: null, message: 'Secrets are revealed again.' } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/organizations/:clerkOrgId/freeze-reveals',
      tag,
      summary: 'Reveal no secrets for an organisation until further notice',
      description: `${REFUSED} Also the platform's secrets, where they would be handed out for it; also one that is not known here. Again: the same answer.`,
      authentication: service(ROOT),
      errors: ['organization_deleted', 'audit_unavailable'],
      request: { params: z.object({ clerkOrgId }), body },
      responses: { 200: { description: 'They are frozen.', schema: freezeOfOne } },
      async handle(caller, { params }) {
        const since = await freezes.freeze(caller, params.clerkOrgId);
        return { status: 200, body: { ...params, frozenAt: since.toISOString(), message: FROZEN } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/organizations/:clerkOrgId/unfreeze-reveals',
      tag,
      summary: 'Reveal secrets for an organisation again',
      description: 'Unless they are frozen everywhere.',
      authentication: service(ROOT),
      errors: ['organization_deleted', 'audit_unavailable'],
      request: { params: z.object({ clerkOrgId }), body },
      responses: { 200: { description: 'They are not frozen for it by itself.', schema: freezeOfOne } },
      async handle(caller, { params }) {
        await freezes.unfreeze(caller, params.clerkOrgId);
        const message = 'Its secrets are revealed again, unless reveals are frozen everywhere.';
        return { status: 200, body: { ...params, frozenAt: null, message } };
      },
    }),
  ];
}
