import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { KeyVersions } from './key-versions.ts';
import { removedMessage, savedMessage } from './messages.ts';
import type { ProviderKeys } from './provider-keys.ts';
import {
  check,
  currentVersion,
  keyList,
  provider,
  REVEAL_ERRORS,
  removedKey,
  revealedKey,
  secret,
  toKeyList,
} from './schemas.ts';

const params = z.object({ provider });
const query = z.object({ clerkOrgId });

/** Organisations' own provider keys, as they are now. */
export function providerKeyEndpoints(
  providerKeys: ProviderKeys,
  versions: KeyVersions,
  service: ServiceAuthentication,
): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/keys',
      tag: 'Provider keys',
      summary: "List an organisation's provider keys, masked",
      description:
        'A key that cannot be decrypted is listed too, as `unreadable`; as `unavailable`, when the master key cannot be reached just now.',
      authentication: service('provider-keys:read'),
      request: { query },
      responses: { 200: { description: 'Sorted by provider.', schema: keyList } },
      async handle(caller, { query: owner }) {
        return { status: 200, body: toKeyList(await providerKeys.list(caller, owner)) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/keys',
      tag: 'Provider keys',
      summary: 'Store or replace a provider key',
      description:
        'Every new value is the next version; the newest ten are kept. Storing the current value again changes nothing. ' +
        'With `check` the provider is asked first: a key that it rejects is not stored, and one of a provider that does ' +
        'not answer is stored as `unreachable`, one that nobody could be asked about as `unchecked`.',
      authentication: service('provider-keys:write'),
      errors: ['organization_deleted', 'provider_key_rejected', 'encryption_unavailable', 'audit_unavailable'],
      idempotent: true,
      request: { body: z.strictObject({ clerkOrgId, provider, apiKey: secret, check }) },
      responses: {
        201: { description: 'Stored.', schema: currentVersion },
        200: { description: 'Replaced, or the same as before.', schema: currentVersion },
      },
      handle(caller, { body: { clerkOrgId, provider, apiKey, check } }, answering) {
        const wanted = { owner: { clerkOrgId }, provider, secret: apiKey, check };
        return versions.save(
          caller,
          wanted,
          answering(({ outcome, ...saved }) => ({
            status: outcome === 'created' ? 201 : 200,
            body: { provider, ...saved, message: savedMessage(outcome) },
          })),
        );
      },
    }),
    endpoint({
      method: 'delete',
      path: '/internal/keys/:provider',
      tag: 'Provider keys',
      summary: 'Destroy a provider key',
      description: 'In every version.',
      authentication: service('provider-keys:write'),
      errors: ['audit_unavailable'],
      request: { params, query },
      responses: { 200: { description: '`deleted` tells whether there was one.', schema: removedKey } },
      async handle(caller, { params: { provider }, query: owner }) {
        const deleted = await providerKeys.remove(caller, owner, provider);
        return { status: 200, body: { provider, deleted, message: removedMessage(deleted) } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/internal/keys/:provider/decrypt',
      tag: 'Provider keys',
      summary: "Reveal an organisation's provider key to a service",
      description:
        "Its own key, unless the organisation's source for the provider says that it is the platform's; `source` tells " +
        'which it is.',
      authentication: service('provider-keys:reveal'),
      errors: REVEAL_ERRORS,
      revealsSecret: true,
      request: { params, query },
      responses: { 200: { description: 'The key, decrypted.', schema: revealedKey } },
      async handle(caller, { params: { provider }, query: { clerkOrgId } }) {
        const key = await providerKeys.reveal(caller, clerkOrgId, provider);
        return { status: 200, body: { provider, ...key } };
      },
    }),
  ];
}
