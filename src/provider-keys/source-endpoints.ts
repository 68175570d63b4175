import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { KeySources } from './key-sources.ts';
import { provider, source } from './schemas.ts';

const params = z.object({ provider });
const sourceOfProvider = z.object({ provider: z.string(), source });

/** Where services get an organisation's key of a provider from. */
export function sourceEndpoints(sources: KeySources, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/keys/:provider/source',
      tag: 'Provider keys',
      summary: "Whose key services are handed for an organisation: its own or the platform's",
      authentication: service('provider-keys:read'),
      request: { params, query: z.object({ clerkOrgId }) },
      responses: { 200: { description: '`own`, unless it was set.', schema: sourceOfProvider } },
      async handle(caller, { params: { provider }, query: { clerkOrgId } }) {
        return { status: 200, body: { provider, source: await sources.get(caller, clerkOrgId, provider) } };
      },
    }),
    endpoint({
      method: 'put',
      path: '/internal/keys/:provider/source',
      tag: 'Provider keys',
      summary: 'Say whose key services are handed for an organisation',
      description:
        "Neither key has to be there. With `own-then-platform` the platform's is handed out only when there is no key of the " +
        "organisation's own; one that is there and cannot be read is an error. Holders of API keys are never handed the " +
        "platform's key, and it makes no provider a configured one.",
      authentication: service('root'),
      errors: ['organization_deleted', 'audit_unavailable'],
      request: { params, body: z.strictObject({ clerkOrgId, source }) },
      responses: { 200: { description: 'It is so.', schema: sourceOfProvider } },
      async handle(caller, { params: { provider }, body: { clerkOrgId, source } }) {
        await sources.set(caller, { clerkOrgId, provider, source });
        return { status: 200, body: { provider, source } };
      },
    }),
  ];
}
