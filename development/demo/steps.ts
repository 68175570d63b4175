import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { DemoAnswer, DemoRequest } from './demo-client.ts';

const PROVIDER_KEY = 'sk-ant-not-a-real-key-0000';
const MASKED_PROVIDER_KEY = 'sk-a••••0000';

/** Sends one request and checks its answer: `expected` fields of the body must equal. */
export type Step = (
  title: string,
  request: DemoRequest,
  status: number,
  expected?: Record<string, unknown>,
) => Promise<DemoAnswer>;

/** The service's whole main job, for an organisation that nobody has used before. */
export async function runSteps(step: Step, serviceKey: string): Promise<void> {
  const clerkOrgId = `org_demo_${randomBytes(6).toString('hex')}`;
  const organisation = `clerkOrgId=${clerkOrgId}`;

  await step('The service lives', { path: '/health' }, 200, { status: 'ok', service: 'key-service' });

  const issue = { serviceKey, method: 'POST', path: '/internal/api-keys' } as const;
  const issued = await step('Issue an API key', { ...issue, body: { clerkOrgId, name: 'Demo' } }, 201, {
    name: 'Demo',
  });
  const { id } = issued.body;
  const apiKey = String(issued.body['key']);
  assert.ok(apiKey.startsWith(String(issued.body['keyPrefix'])), 'the key starts with its prefix');

  const validate = { apiKey, path: '/validate' };
  await step('Validate it, as its holder', validate, 200, {
    valid: true,
    clerkOrgId,
    configuredProviders: [],
  });
  await step('A key that nobody has issued', { ...validate, apiKey: 'ks_live_nobody-issued-this' }, 401, {
    code: 'api_key_invalid',
  });

  const store = { serviceKey, method: 'POST', path: '/internal/keys' } as const;
  const body = { clerkOrgId, provider: 'anthropic', apiKey: PROVIDER_KEY };
  const masked = { provider: 'anthropic', maskedKey: MASKED_PROVIDER_KEY };
  const stored = await step("Store the organisation's key of a provider", { ...store, body }, 201, masked);
  const { version } = stored.body;
  await step('The same key again changes nothing', { ...store, body }, 200, { ...masked, version });
  await step('Validate: the provider is configured', validate, 200, {
    valid: true,
    clerkOrgId,
    configuredProviders: ['anthropic'],
  });

  const provider = { serviceKey, path: `/internal/keys?${organisation}` };
  const providers = await step('List provider keys, masked', provider, 200);
  assertListed(providers, { provider: 'anthropic', maskedKey: MASKED_PROVIDER_KEY });
  assert.ok(!providers.text.includes(PROVIDER_KEY), 'the list does not hold the key');

  const decrypt = { serviceKey, path: `/internal/keys/anthropic/decrypt?${organisation}` };
  const revealed = { provider: 'anthropic', key: PROVIDER_KEY };
  await step('Read it with the API key', { apiKey, path: '/validate/keys/anthropic' }, 200, revealed);
  await step('Decrypt it as a service', decrypt, 200, revealed);

  const list = { serviceKey, path: `/internal/api-keys?${organisation}` };
  const keys = await step('List API keys', list, 200);
  assertListed(keys, { id, name: 'Demo' });
  assert.ok(!keys.text.includes(apiKey), 'the list does not hold the key');

  const revoke = { serviceKey, method: 'DELETE', path: `/internal/api-keys/${id}?${organisation}` } as const;
  await step('Revoke the API key', revoke, 200);
  await step('Validate: revoked', validate, 401, { code: 'api_key_revoked' });

  const remove = { serviceKey, method: 'DELETE', path: `/internal/keys/anthropic?${organisation}` } as const;
  await step('Delete the provider key', remove, 200, { provider: 'anthropic', deleted: true });
  await step('Decrypt: there is none', decrypt, 404, { code: 'provider_key_not_found' });
}

/** That exactly one item is listed, and that it has these fields. */
function assertListed({ body }: DemoAnswer, expected: Record<string, unknown>): void {
  assert.ok(Array.isArray(body['keys']), 'keys is a list');
  assert.equal(body['keys'].length, 1, 'one key is listed');
  assertFields(body['keys'][0], expected);
}

export function assertFields(body: Record<string, unknown>, expected: Record<string, unknown>): void {
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, body[name]]));
  assert.deepEqual(found, expected);
}
