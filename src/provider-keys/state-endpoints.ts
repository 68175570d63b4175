import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { KeyStates } from './key-states.ts';
import { checkedVersion, handedSource, provider, reportedVersion, toState, trouble, version } from './schemas.ts';

const params = z.object({ provider });

/** What is known of organisations' own provider keys. */
export function stateEndpoints(states: KeyStates, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/internal/keys/:provider/check',
      tag: 'Provider keys',
      summary: 'Ask the provider whether the stored key is good',
      description:
        'The outcome is stored with the version that was asked about. A provider that gives no answer in time is ' +
        '`unreachable`; where it cannot be asked at all, or too many checks of it are under way, nothing is stored.',
      authentication: service('provider-keys:write'),
      errors: [
        'provider_key_not_found',
        'provider_key_version_not_found',
        'organization_deleted',
        'provider_key_unreadable',
        'reveals_frozen',
        'encryption_unavailable',
        'audit_unavailable',
        'overloaded',
      ],
      request: { params, body: z.strictObject({ clerkOrgId }) },
      responses: { 200: { description: 'What the provider said, and what is known now.', schema: checkedVersion } },
      async handle(caller, { params: { provider }, body: owner }) {
        return { status: 200, body: toState(provider, await states.check(caller, owner, provider)) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/keys/:provider/report',
      tag: 'Provider keys',
      summary: 'Report that a provider refused a key',
      description:
        'Sets the status of the version that was handed out, so that a dead key shows before its owner notices. A later ' +
        'check may set another. The same report again changes nothing. `source` as the key was handed out: trouble with ' +
        "the platform's key is noted of the platform's, while the organisation's source says that it is handed out.",
      authentication: service('provider-keys:reveal'),
      errors: ['provider_key_not_found', 'provider_key_version_not_found', 'organization_deleted', 'audit_unavailable'],
      request: { params, body: z.strictObject({ clerkOrgId, version, outcome: trouble, source: handedSource }) },
      responses: { 200: { description: 'It is noted.', schema: reportedVersion } },
      async handle(caller, { params: { provider }, body: { clerkOrgId, version, outcome, source } }) {
        const report = { provider, version, outcome };
        const reported =
          source === 'own'
            ? await states.report(caller, { clerkOrgId }, report)
            : await states.reportHanded(caller, clerkOrgId, report);
        return { status: 200, body: toState(provider, reported) };
      },
    }),
  ];
}
