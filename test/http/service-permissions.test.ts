import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PERMISSIONS, type Permission } from '../../src/caller.ts';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { OPERATIONS } from '../support/routes.ts';
import { startService, type TestService } from '../support/service.ts';
import { callsWith, type NamedCaller, newServiceCaller } from '../support/service-caller.ts';

/** What each operation of services is meant to need. The operations themselves say it too, in the OpenAPI document. */
const NEEDED: Record<string, Permission | 'root'> = {
  'GET /internal/api-keys': 'api-keys:read',
  'POST /internal/api-keys': 'api-keys:write',
  'POST /internal/api-keys/import': 'root',
  'POST /internal/api-keys/session': 'api-keys:recover',
  'GET /internal/api-keys/{id}/recover': 'api-keys:recover',
  'GET /internal/api-keys/{id}': 'api-keys:read',
  'DELETE /internal/api-keys/{id}': 'api-keys:write',
  'PATCH /internal/api-keys/{id}': 'api-keys:write',
  'POST /internal/api-keys/{id}/rotate': 'api-keys:write',
  'GET /internal/api-keys/{id}/usage': 'api-keys:read',
  'GET /internal/organizations/{clerkOrgId}/usage': 'api-keys:read',
  'POST /internal/api-keys/validate': 'api-keys:read',
  'POST /internal/api-keys/identify': 'api-keys:read',
  'POST /internal/organizations/{clerkOrgId}/revoke-api-keys': 'api-keys:write',
  'GET /internal/keys': 'provider-keys:read',
  'POST /internal/keys': 'provider-keys:write',
  'DELETE /internal/keys/{provider}': 'provider-keys:write',
  'GET /internal/keys/{provider}/decrypt': 'provider-keys:reveal',
  'GET /internal/keys/{provider}/versions': 'provider-keys:read',
  'POST /internal/keys/{provider}/rollback': 'provider-keys:write',
  'POST /internal/keys/{provider}/check': 'provider-keys:write',
  'POST /internal/keys/{provider}/report': 'provider-keys:reveal',
  'GET /internal/keys/{provider}/source': 'provider-keys:read',
  'PUT /internal/keys/{provider}/source': 'root',
  'GET /internal/platform-keys': 'root',
  'POST /internal/platform-keys': 'root',
  'DELETE /internal/platform-keys/{provider}': 'root',
  'GET /internal/platform-keys/{provider}/decrypt': 'root',
  'GET /internal/platform-keys/{provider}/versions': 'root',
  'POST /internal/platform-keys/{provider}/rollback': 'root',
  'POST /internal/platform-keys/{provider}/check': 'root',
  'POST /internal/platform-keys/{provider}/report': 'root',
  'GET /internal/providers': 'provider-keys:read',
  'DELETE /internal/organizations/{clerkOrgId}': 'root',
  'GET /internal/organizations/{clerkOrgId}/rate-limit': 'api-keys:read',
  'PUT /internal/organizations/{clerkOrgId}/rate-limit': 'api-keys:write',
  'POST /internal/organizations/{clerkOrgId}/suspend': 'root',
  'POST /internal/organizations/{clerkOrgId}/resume': 'root',
  'POST /internal/organizations/{clerkOrgId}/freeze-reveals': 'root',
  'POST /internal/organizations/{clerkOrgId}/unfreeze-reveals': 'root',
  'POST /internal/freeze-reveals': 'root',
  'POST /internal/unfreeze-reveals': 'root',
  'GET /internal/audit-events': 'audit:read',
  'POST /internal/leak-reports': 'root',
  'GET /internal/service-keys': 'root',
  'POST /internal/service-keys': 'root',
  'DELETE /internal/service-keys/{id}': 'root',
};
const FORBIDDEN = 'Bearer realm="key-service", error="insufficient_scope"';

let service: TestService;
const org = newOrganization();
/** What every operation is tried on. */
const asked = newOrganization();
/** By permission: who has it and no other, and who has every other. */
const only = new Map<string, NamedCaller>();
const allBut = new Map<string, NamedCaller>();
let nothing: NamedCaller;
let everything: NamedCaller;
let declared: Record<string, string>;
beforeAll(async () => {
  service = await startService();
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-secret-0001');
  await service.saveProviderKey(org, 'anthropic', 'sk-not-a-real-secret-0002');
  for (const permission of PERMISSIONS) {
    const others = PERMISSIONS.filter((other) => other !== permission);
    only.set(permission, await newServiceCaller(service, { name: 'only', permissions: [permission] }));
    allBut.set(permission, await newServiceCaller(service, { name: 'all-but', permissions: others }));
  }
  nothing = await newServiceCaller(service, { name: 'nothing' });
  everything = await newServiceCaller(service, { name: 'everything', permissions: PERMISSIONS });
  const { body } = await service.request('GET', '/openapi.json');
  declared = Object.fromEntries(
    Object.entries<Record<string, Record<string, string>>>(body.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => operation['x-permission'] !== undefined)
        .map(([method, operation]) => [`${method.toUpperCase()} ${path}`, String(operation['x-permission'])]),
    ),
  );
});
afterAll(() => service.stop());

const operations = OPERATIONS.filter(({ caller }) => caller === 'service').map((operation) => ({
  ...operation,
  name: `${operation.method} ${operation.path}`,
}));
const neededFor = (name: string) => declared[name] ?? 'not declared';
const ask = (as: NamedCaller['as'], { method, example }: (typeof operations)[number]) =>
  as(
    method,
    `${example}?clerkOrgId=${asked}`,
    ['POST', 'PUT', 'PATCH'].includes(method) ? { clerkOrgId: asked } : undefined,
  );
const isLetIn = ({ status }: { status: number }) => ![401, 403].includes(status);

describe('every operation of services', () => {
  it('needs what it is meant to', () => {
    expect(declared).toEqual(NEEDED);
  });

  it.each(operations)('$name: 403 to a key with every permission but its own, which is named', async (operation) => {
    const needed = neededFor(operation.name);
    const answer = await ask((needed === 'root' ? everything : allBut.get(needed))?.as ?? nothing.as, operation);
    expectProblem(answer, 403, 'service_key_forbidden');
    expect(answer.body.detail).toContain(needed);
    expect(answer.headers.get('www-authenticate')).toBe(FORBIDDEN);
  });

  it.each(operations)('$name: 403 to a key with one permission, if that is another', async (operation) => {
    const needed = neededFor(operation.name);
    for (const [permission, { as }] of only) {
      const answer = await ask(as, operation);
      if (permission === needed) expect(isLetIn(answer), permission).toBe(true);
      else expectProblem(answer, 403, 'service_key_forbidden');
    }
  });

  it.each(operations)('$name: 403 to a key without permissions', async (operation) => {
    expectProblem(await ask(nothing.as, operation), 403, 'service_key_forbidden');
  });

  it.each(operations)('$name: open to the root caller', async (operation) => {
    expect(isLetIn(await ask(service.asService, operation))).toBe(true);
  });
});

describe('a service key', () => {
  it.each<[permission: Permission, method: string, path: string, body: unknown, status: number]>([
    ['api-keys:read', 'GET', `/internal/api-keys?clerkOrgId=${org}`, undefined, 200],
    ['api-keys:write', 'POST', '/internal/api-keys', { clerkOrgId: org }, 201],
    ['provider-keys:read', 'GET', `/internal/keys?clerkOrgId=${org}`, undefined, 200],
    ['provider-keys:write', 'POST', '/internal/keys', { clerkOrgId: org, provider: 'exa', apiKey: 'not-real' }, 201],
    ['provider-keys:write', 'DELETE', `/internal/keys/exa?clerkOrgId=${org}`, undefined, 200],
    ['provider-keys:reveal', 'GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`, undefined, 200],
    ['audit:read', 'GET', `/internal/audit-events?clerkOrgId=${org}`, undefined, 200],
  ])('with %s may %s %s', async (permission, method, path, body, status) => {
    expect((await only.get(permission)?.as(method, path, body))?.status).toBe(status);
  });

  it('is accepted in every header that the root key is, in the same order', async () => {
    const path = `/internal/api-keys?clerkOrgId=${org}`;
    const key = only.get('api-keys:read')?.key ?? '';
    const ways: Record<string, string>[] = [
      { 'X-Service-Key': key },
      { 'X-API-Key': key },
      { Authorization: `bearer ${key}` },
      { 'X-Service-Key': key, 'X-API-Key': nothing.key, Authorization: `Bearer ${nothing.key}` },
      { 'X-API-Key': key, Authorization: `Bearer ${nothing.key}` },
    ];
    for (const headers of ways) expect((await service.request('GET', path, { headers })).status).toBe(200);
    const other = { 'X-Service-Key': nothing.key, 'X-API-Key': key };
    expectProblem(await service.request('GET', path, { headers: other }), 403, 'service_key_forbidden');
  });

  it.each<[what: string, body: unknown]>([
    ['a body with everything wrong', { bogus: true }],
    ['a body that is not JSON', '{'],
    ['a body that is too large', 'x'.repeat(70_000)],
    ['no body', undefined],
  ])('is a 403 before a word about %s', async (_what, body) => {
    expectProblem(await nothing.as('POST', '/internal/api-keys', body), 403, 'service_key_forbidden');
    expectProblem(await everything.as('POST', '/internal/service-keys', body), 403, 'service_key_forbidden');
  });

  it('is a 403 before a word about the query or the path', async () => {
    expectProblem(await nothing.as('GET', '/internal/api-keys?limit=x'), 403, 'service_key_forbidden');
    expectProblem(await nothing.as('GET', '/internal/keys/NOT-A-PROVIDER/decrypt'), 403, 'service_key_forbidden');
  });

  it('is named in the log line of what it was forbidden', async () => {
    const headers = { 'X-Service-Key': nothing.key, 'X-Request-Id': 'who-was-forbidden' };
    await service.request('GET', '/internal/api-keys', { headers });
    const line = () => service.logLines.find(({ requestId }) => requestId === 'who-was-forbidden');
    await expect
      .poll(line)
      .toMatchObject({ caller: 'service:nothing', status: 403, error: { code: 'service_key_forbidden' } });
  });

  it('changes nothing when it is forbidden to', async () => {
    const reader = only.get('provider-keys:read')?.as ?? nothing.as;
    await reader('POST', '/internal/keys', { clerkOrgId: org, provider: 'openai', apiKey: 'not-a-real-one' });
    await reader('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
    const { body } = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    expect(body).toMatchObject({ key: 'sk-not-a-real-secret-0001', version: 1 });
  });

  it('is no API key', async () => {
    expectProblem(await service.asHolder(everything.key, '/validate'), 401, 'api_key_invalid');
  });

  it('that was never issued is a 401, whatever its shape', async () => {
    const madeUp = `${everything.key.slice(0, -1)}${everything.key.endsWith('0') ? '1' : '0'}`;
    for (const key of [madeUp, everything.key.toUpperCase(), `${everything.key}0`, 'ks_service_', 'ks_service']) {
      const answer = await callsWith(service, key)('GET', '/internal/api-keys');
      expectProblem(answer, 401, 'service_key_invalid');
    }
  });
});

describe('a service key with a list of providers', () => {
  let limited: NamedCaller;
  beforeAll(async () => {
    limited = await newServiceCaller(service, {
      name: 'limited',
      permissions: ['provider-keys:read', 'provider-keys:write', 'provider-keys:reveal'],
      revealProviders: ['openai', 'mistral'],
    });
  });
  const reveal = ({ as }: NamedCaller, provider: string) =>
    as('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`);

  it('is shown the keys of these providers', async () => {
    const answer = await reveal(limited, 'openai');
    expect({ status: answer.status, key: answer.body.key }).toEqual({ status: 200, key: 'sk-not-a-real-secret-0001' });
    expectProblem(await reveal(limited, 'mistral'), 404, 'provider_key_not_found');
  });

  it('is refused those of every other, whether there is one or not, and told the permission', async () => {
    for (const provider of ['anthropic', 'exa', 'openai-2', 'open']) {
      const answer = await reveal(limited, provider);
      expectProblem(answer, 403, 'service_key_forbidden');
      expect(answer.body.detail).toContain('provider-keys:reveal');
      expect(answer.headers.get('www-authenticate')).toBe(FORBIDDEN);
      expect(answer.text).not.toContain('sk-not');
    }
  });

  it('is told of a malformed provider or organisation as everyone is', async () => {
    expect((await reveal(limited, 'OpenAI')).status).toBe(400);
    expect((await limited.as('GET', '/internal/keys/anthropic/decrypt')).status).toBe(400);
  });

  it('may list and store the keys of any: the list is for what is revealed', async () => {
    expect((await limited.as('GET', `/internal/keys?clerkOrgId=${org}`)).status).toBe(200);
    const body = { clerkOrgId: newOrganization(), provider: 'exa', apiKey: 'not-a-real-one' };
    expect((await limited.as('POST', '/internal/keys', body)).status).toBe(201);
  });

  it('that is empty is shown none, and one without a list all of them', async () => {
    const permissions = ['provider-keys:reveal'];
    const none = await newServiceCaller(service, { permissions, revealProviders: [] });
    const all = await newServiceCaller(service, { permissions, revealProviders: null });
    for (const provider of ['openai', 'anthropic']) {
      expectProblem(await reveal(none, provider), 403, 'service_key_forbidden');
      expect((await reveal(all, provider)).status).toBe(200);
    }
  });

  it('is not recorded as a use of the key that it was refused', async () => {
    const other = newOrganization();
    await service.saveProviderKey(other, 'anthropic', 'not-a-real-one');
    await limited.as('GET', `/internal/keys/anthropic/decrypt?clerkOrgId=${other}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${other}`);
    expect(body.keys).toEqual([expect.objectContaining({ provider: 'anthropic', lastUsedAt: null })]);
  });
});
