import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { DefaultKeys } from './default-keys.ts';
import type { KeyRecoveries } from './key-recoveries.ts';
import { idOfKey } from './schemas.ts';

const recoveredKey = z.object({
  id: z.uuid(),
  key: z.string().meta({ description: 'The whole key.' }),
  keyPrefix: z.string(),
  name: z.string().nullable(),
});

/** Of whatever hands out a key that was sealed. */
const RECOVERY_ERRORS = [
  'api_key_not_recoverable',
  'api_key_unreadable',
  'reveals_frozen',
  'encryption_unavailable',
  'audit_unavailable',
] as const;

/** The key that is an organisation's own for the asking. */
export function sessionEndpoint(keys: DefaultKeys, service: ServiceAuthentication): Endpoint {
  return endpoint({
    method: 'post',
    path: '/internal/api-keys/session',
    tag: 'API keys',
    summary: "An organisation's one Default key",
    description:
      'The same each time, made the first time, and again once it was revoked or has expired. It is unrestricted. A key that ' +
      'somebody else has called Default is another one.',
    authentication: service('api-keys:recover'),
    errors: ['organization_deleted', ...RECOVERY_ERRORS],
    revealsSecret: true,
    idempotent: true,
    showsKey: true,
    request: { body: z.strictObject({ clerkOrgId }) },
    responses: {
      200: { description: 'The one that there is.', schema: recoveredKey },
      201: { description: 'A new one.', schema: recoveredKey },
    },
    handle: (caller, { body }, answering) =>
      keys.session(
        caller,
        body.clerkOrgId,
        answering(({ created, ...key }) => ({ status: created ? 201 : 200, body: key })),
      ),
  });
}

export function recoveryEndpoint(recoveries: KeyRecoveries, service: ServiceAuthentication): Endpoint {
  return endpoint({
    method: 'get',
    path: '/internal/api-keys/:id/recover',
    tag: 'API keys',
    summary: 'Reveal an API key once more that was issued as recoverable',
    description: 'Neither one that was revoked, has expired or is disabled.',
    authentication: service('api-keys:recover'),
    errors: ['api_key_not_found', 'api_key_ended', ...RECOVERY_ERRORS],
    revealsSecret: true,
    request: { params: z.object({ id: idOfKey }), query: z.object({ clerkOrgId }) },
    responses: { 200: { description: 'The key.', schema: recoveredKey } },
    async handle(caller, { params: { id }, query }) {
      return { status: 200, body: await recoveries.recover(caller, query.clerkOrgId, id) };
    },
  });
}
