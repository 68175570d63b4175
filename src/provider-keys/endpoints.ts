import { z } from 'zod';
import { type ClientAuthentication, type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId, unbroken } from '../organizations/schemas.ts';
import type { ProviderKeys, SavedProviderKey } from './provider-keys.ts';

/** Any provider of this form is accepted; there is no list to be on. */
const provider = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .meta({ description: 'Whose key it is.', example: 'anthropic' });

const secret = z
  .string()
  .transform((text) => text.trim())
  .pipe(z.string().min(1).max(8192).refine(unbroken, 'must not hold white space or control characters'))
  .meta({ description: "The provider's key. White space around it is trimmed." });

const params = z.object({ provider });
const maskedKey = z
  .string()
  .meta({ description: 'Four characters at each end, of long keys only.', example: 'sk-a••••3f9Q' });
const version = z.int().min(1).meta({ description: 'Raised by every new value.' });
const revealed = z.object({ provider: z.string(), key: z.string(), version, source: z.literal('own') });

const MESSAGES: Record<SavedProviderKey['outcome'], string> = {
  created: 'The key is stored.',
  replaced: 'The key is replaced.',
  unchanged: 'This key was stored already.',
};

export function providerKeyEndpoints(
  providerKeys: ProviderKeys,
  service: ServiceAuthentication,
  client: ClientAuthentication,
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
      request: { query: z.object({ clerkOrgId }) },
      responses: {
        200: {
          description: 'Sorted by provider.',
          schema: z.object({
            keys: z.array(
              z.object({
                provider: z.string(),
                maskedKey,
                version,
                status: z.enum(['unchecked', 'unreadable', 'unavailable']),
                createdAt: z.iso.datetime(),
                updatedAt: z.iso.datetime(),
                lastUsedAt: z.iso.datetime().nullable(),
                lastCheckedAt: z.iso.datetime().nullable(),
              }),
            ),
          }),
        },
      },
      async handle(caller, { query }) {
        const listed = await providerKeys.list(caller, query.clerkOrgId);
        const keys = listed.map((key) => ({
          ...key,
          createdAt: key.createdAt.toISOString(),
          updatedAt: key.updatedAt.toISOString(),
          lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
          lastCheckedAt: null,
        }));
        return { status: 200, body: { keys } };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/keys',
      tag: 'Provider keys',
      summary: 'Store or replace a provider key',
      description: 'Storing the same value again changes nothing.',
      authentication: service('provider-keys:write'),
      errors: ['encryption_unavailable'],
      request: { body: z.strictObject({ clerkOrgId, provider, apiKey: secret }) },
      responses: {
        201: {
          description: 'Stored.',
          schema: z.object({ provider: z.string(), maskedKey, version, message: z.string() }),
        },
        200: {
          description: 'Replaced, or the same as before.',
          schema: z.object({ provider: z.string(), maskedKey, version, message: z.string() }),
        },
      },
      async handle(caller, { body }) {
        const { outcome, ...saved } = await providerKeys.save(caller, {
          clerkOrgId: body.clerkOrgId,
          provider: body.provider,
          secret: body.apiKey,
        });
        return {
          status: outcome === 'created' ? 201 : 200,
          body: { provider: body.provider, ...saved, message: MESSAGES[outcome] },
        };
      },
    }),
    endpoint({
      method: 'delete',
      path: '/internal/keys/:provider',
      tag: 'Provider keys',
      summary: 'Destroy a provider key',
      authentication: service('provider-keys:write'),
      request: { params, query: z.object({ clerkOrgId }) },
      responses: {
        200: {
          description: '`deleted` tells whether there was one.',
          schema: z.object({ provider: z.string(), deleted: z.boolean(), message: z.string() }),
        },
      },
      async handle(caller, { params, query }) {
        const deleted = await providerKeys.remove(caller, query.clerkOrgId, params.provider);
        const message = deleted ? 'The key is destroyed.' : 'There was no key for this provider.';
        return { status: 200, body: { provider: params.provider, deleted, message } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/internal/keys/:provider/decrypt',
      tag: 'Provider keys',
      summary: "Reveal an organisation's provider key to a service",
      authentication: service('provider-keys:reveal'),
      errors: ['provider_key_not_found', 'provider_key_unreadable', 'encryption_unavailable'],
      revealsSecret: true,
      request: { params, query: z.object({ clerkOrgId }) },
      responses: { 200: { description: 'The key, decrypted.', schema: revealed } },
      async handle(caller, { params, query }) {
        const key = await providerKeys.reveal(caller, query.clerkOrgId, params.provider);
        return { status: 200, body: { provider: params.provider, ...key } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/validate/keys/:provider',
      tag: 'Validation',
      summary: "Reveal the organisation's own provider key to the holder of its API key",
      authentication: client('provider-keys:reveal'),
      errors: ['provider_key_not_found', 'provider_key_unreadable', 'encryption_unavailable'],
      revealsSecret: true,
      request: { params },
      responses: { 200: { description: 'The key, decrypted.', schema: revealed } },
      async handle(holder, { params }) {
        const key = await providerKeys.revealOwn(holder, params.provider);
        return { status: 200, body: { provider: params.provider, ...key } };
      },
    }),
  ];
}
