import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import type { KeyStates } from './key-states.ts';
import type { KeyVersions } from './key-versions.ts';
import { removedMessage, restoredMessage, savedMessage } from './messages.ts';
import { PLATFORM } from './owner.ts';
import type { ProviderKeys } from './provider-keys.ts';
import {
  check,
  checkedVersion,
  currentVersion,
  keyList,
  provider,
  REVEAL_ERRORS,
  removedKey,
  reportedVersion,
  revealedPlatformKey,
  secret,
  toKeyList,
  toState,
  toVersionList,
  trouble,
  version,
  versionList,
} from './schemas.ts';

const params = z.object({ provider });
const tag = 'Platform keys';

interface Rooms {
  providerKeys: ProviderKeys;
  versions: KeyVersions;
  states: KeyStates;
}

/** The platform's own provider keys: the same verbs and shapes as those of organisations, and no organisation. */
export function platformKeyEndpoints(
  { providerKeys, versions, states }: Rooms,
  service: ServiceAuthentication,
): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/platform-keys',
      tag,
      summary: "List the platform's own provider keys, masked",
      authentication: service('root'),
      request: {},
      responses: { 200: { description: 'Sorted by provider.', schema: keyList } },
      async handle(caller) {
        return { status: 200, body: toKeyList(await providerKeys.list(caller, PLATFORM)) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/platform-keys',
      tag,
      summary: "Store or replace the platform's own key of a provider",
      description: 'It is handed to services, for organisations whose source says so.',
      authentication: service('root'),
      errors: ['provider_key_rejected', 'encryption_unavailable', 'audit_unavailable'],
      idempotent: true,
      request: { body: z.strictObject({ provider, apiKey: secret, check }) },
      responses: {
        201: { description: 'Stored.', schema: currentVersion },
        200: { description: 'Replaced, or the same as before.', schema: currentVersion },
      },
      handle(caller, { body: { provider, apiKey, check } }, answering) {
        const wanted = { owner: PLATFORM, provider, secret: apiKey, check };
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
      path: '/internal/platform-keys/:provider',
      tag,
      summary: "Destroy the platform's own key of a provider",
      description: 'In every version.',
      authentication: service('root'),
      errors: ['audit_unavailable'],
      request: { params },
      responses: { 200: { description: '`deleted` tells whether there was one.', schema: removedKey } },
      async handle(caller, { params: { provider } }) {
        const deleted = await providerKeys.remove(caller, PLATFORM, provider);
        return { status: 200, body: { provider, deleted, message: removedMessage(deleted) } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/internal/platform-keys/:provider/decrypt',
      tag,
      summary: "Reveal the platform's own key of a provider to a service",
      authentication: service('root'),
      errors: REVEAL_ERRORS,
      revealsSecret: true,
      request: { params },
      responses: { 200: { description: 'The key, decrypted.', schema: revealedPlatformKey } },
      async handle(caller, { params: { provider } }) {
        return { status: 200, body: { provider, ...(await providerKeys.revealPlatforms(caller, provider)) } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/internal/platform-keys/:provider/versions',
      tag,
      summary: "List the versions of the platform's own key that are kept, masked",
      authentication: service('root'),
      request: { params },
      responses: { 200: { description: 'Newest first; none when there is no key.', schema: versionList } },
      async handle(caller, { params: { provider } }) {
        return { status: 200, body: toVersionList(provider, await versions.list(caller, PLATFORM, provider)) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/platform-keys/:provider/rollback',
      tag,
      summary: "Make an earlier version of the platform's own key the current one again",
      authentication: service('root'),
      errors: [
        'provider_key_not_found',
        'provider_key_version_not_found',
        'provider_key_unreadable',
        'encryption_unavailable',
        'audit_unavailable',
      ],
      idempotent: true,
      request: { params, body: z.strictObject({ version }) },
      responses: { 200: { description: 'It is current, as the version that is named.', schema: currentVersion } },
      handle(caller, { params: { provider }, body: { version } }, answering) {
        return versions.rollback(
          caller,
          { owner: PLATFORM, provider, version },
          answering(({ outcome, ...current }) => ({
            status: 200,
            body: { provider, ...current, message: restoredMessage(outcome) },
          })),
        );
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/platform-keys/:provider/check',
      tag,
      summary: "Ask the provider whether the platform's own key is good",
      authentication: service('root'),
      errors: [
        'provider_key_not_found',
        'provider_key_version_not_found',
        'provider_key_unreadable',
        'reveals_frozen',
        'encryption_unavailable',
        'audit_unavailable',
        'overloaded',
      ],
      request: { params, body: z.strictObject({}).optional() },
      responses: { 200: { description: 'What the provider said, and what is known now.', schema: checkedVersion } },
      async handle(caller, { params: { provider } }) {
        return { status: 200, body: toState(provider, await states.check(caller, PLATFORM, provider)) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/platform-keys/:provider/report',
      tag,
      summary: "Report that a provider refused the platform's own key",
      authentication: service('root'),
      errors: ['provider_key_not_found', 'provider_key_version_not_found', 'audit_unavailable'],
      request: { params, body: z.strictObject({ version, outcome: trouble }) },
      responses: { 200: { description: 'It is noted.', schema: reportedVersion } },
      async handle(caller, { params: { provider }, body: { version, outcome } }) {
        const reported = await states.report(caller, PLATFORM, { provider, version, outcome });
        return { status: 200, body: toState(provider, reported) };
      },
    }),
  ];
}
