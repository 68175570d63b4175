import { z } from 'zod';
import { type ClientAuthentication, type Endpoint, endpoint } from '../http/endpoint.ts';
import type { ProviderKeys } from './provider-keys.ts';
import { provider, REVEAL_ERRORS, revealedOwnKey } from './schemas.ts';

/** What the holder of an API key gets of its organisation's provider keys. */
export function holderEndpoint(providerKeys: ProviderKeys, client: ClientAuthentication): Endpoint {
  return endpoint({
    method: 'get',
    path: '/validate/keys/:provider',
    tag: 'Validation',
    summary: "Reveal the organisation's own provider key to the holder of its API key",
    description: "Never the platform's key, whatever the organisation's source for the provider is.",
    authentication: client('provider-keys:reveal'),
    errors: REVEAL_ERRORS,
    revealsSecret: true,
    request: { params: z.object({ provider }) },
    responses: { 200: { description: 'The key, decrypted.', schema: revealedOwnKey } },
    async handle(holder, { params: { provider } }) {
      const key = await providerKeys.revealOwn(holder, provider);
      return { status: 200, body: { provider, ...key } };
    },
  });
}
