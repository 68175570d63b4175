import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { KeyVersions } from './key-versions.ts';
import { restoredMessage } from './messages.ts';
import { currentVersion, provider, toVersionList, version, versionList } from './schemas.ts';

const params = z.object({ provider });

/** The history of organisations' own provider keys. */
export function versionEndpoints(versions: KeyVersions, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/keys/:provider/versions',
      tag: 'Provider keys',
      summary: 'List the versions of a provider key that are kept, masked',
      description: 'One that cannot be decrypted is listed too, as `unreadable` or `unavailable`.',
      authentication: service('provider-keys:read'),
      request: { params, query: z.object({ clerkOrgId }) },
      responses: {
        200: { description: 'Newest first; none when there is no key for this provider.', schema: versionList },
      },
      async handle(caller, { params: { provider }, query: owner }) {
        return { status: 200, body: toVersionList(provider, await versions.list(caller, owner, provider)) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/keys/:provider/rollback',
      tag: 'Provider keys',
      summary: 'Make an earlier version of a provider key the current one again',
      description:
        'Its value becomes the next version, with what is known of it. When it is the current value already, nothing changes.',
      authentication: service('provider-keys:write'),
      errors: [
        'provider_key_not_found',
        'provider_key_version_not_found',
        'organization_deleted',
        'provider_key_unreadable',
        'encryption_unavailable',
        'audit_unavailable',
      ],
      idempotent: true,
      request: { params, body: z.strictObject({ clerkOrgId, version }) },
      responses: { 200: { description: 'It is current, as the version that is named.', schema: currentVersion } },
      handle(caller, { params: { provider }, body: { clerkOrgId, version } }, answering) {
        return versions.rollback(
          caller,
          { owner: { clerkOrgId }, provider, version },
          answering(({ outcome, ...current }) => ({
            status: 200,
            body: { provider, ...current, message: restoredMessage(outcome) },
          })),
        );
      },
    }),
  ];
}
