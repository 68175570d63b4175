import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { newCanary } from '../support/canary.ts';
import { type Answer, newOrganization, SERVICE_KEY } from '../support/client.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
const org = newOrganization();
let apiKey: string;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0' } });
  apiKey = (await service.issueKey(org)).key;
});
afterAll(() => service.stop());

const SERVICE = { 'X-Service-Key': SERVICE_KEY };
const json = (headers: Record<string, string> = SERVICE) => ({ ...headers, 'Content-Type': 'application/json' });
type Send = (secret: string) => Promise<Answer>;

/** Every log line, metric, and what an error answered, as one text. Success may hold what was asked for. */
async function everythingTold(answer: Answer): Promise<string> {
  await vi.waitFor(() => {
    const requestId = answer.headers.get('x-request-id');
    // A request that never became one has no line.
    if (answer.headers.get('connection') === 'close') return;
    expect(service.logLines.some((line) => line['requestId'] === requestId)).toBe(true);
  });
  const metrics = await (await fetch(`http://127.0.0.1:${service.metricsPort}/metrics`)).text();
  const headers = JSON.stringify([...answer.headers]);
  return [JSON.stringify(service.logLines), metrics, headers, answer.status < 400 ? '' : answer.text].join('\n');
}

async function expectSilence(send: Send, status: number, before = 'sk-'): Promise<void> {
  const canary = newCanary(before);
  const answer = await send(canary.secret);
  expect(answer.status).toBe(status);
  expect(canary.formsIn(await everythingTold(answer))).toEqual([]);
}

const send = (method: string, path: string, headers: Record<string, string> = {}, body?: unknown) =>
  service.request(method, path, { headers, body });

describe('a secret that is where it belongs', () => {
  it.each<[string, number, Send]>([
    ['a provider key that is stored', 201, (s) => service.saveProviderKey(org, 'first', s)],
    ['a provider key that is replaced', 200, (s) => service.saveProviderKey(org, 'first', s)],
    [
      'a provider key that is checked',
      201,
      (s) => send('POST', '/internal/keys', SERVICE, { clerkOrgId: org, provider: 'checked', apiKey: s, check: true }),
    ],
    [
      "the platform's own provider key",
      201,
      (s) => send('POST', '/internal/platform-keys', SERVICE, { provider: 'first', apiKey: s }),
    ],
    [
      'a name and metadata',
      201,
      (s) => send('POST', '/internal/api-keys', SERVICE, { clerkOrgId: org, name: s, metadata: { s } }),
    ],
    ['a wrong service key', 401, (s) => send('GET', `/internal/keys?clerkOrgId=${org}`, { 'X-Service-Key': s })],
    [
      'a wrong service key in X-API-Key',
      401,
      (s) => send('GET', `/internal/keys?clerkOrgId=${org}`, { 'X-API-Key': s }),
    ],
    ['a wrong API key', 401, (s) => service.asHolder(s, '/validate')],
    ['a wrong API key for a provider key', 401, (s) => service.asHolder(s, '/validate/keys/first')],
    [
      'another service key beside an API key',
      200,
      (s) => send('GET', '/validate', { Authorization: `Bearer ${apiKey}`, 'X-API-Key': s }),
    ],
    ['credentials of another scheme', 401, (s) => send('GET', '/validate', { Authorization: `Basic ${s}` })],
    ['a cookie', 200, (s) => send('GET', '/health', { Cookie: `session=${s}` })],
  ])('is told nowhere: %s', async (_what, status, attempt) => {
    await expectSilence(attempt, status);
  });

  it('is told nowhere when it is handed out', async () => {
    const canary = newCanary('sk-');
    await service.saveProviderKey(org, 'handed-out', canary.secret);
    const answers = [
      await service.asHolder(apiKey, '/validate/keys/handed-out'),
      await service.asService('GET', `/internal/keys/handed-out/decrypt?clerkOrgId=${org}`),
      await service.asService('GET', `/internal/keys?clerkOrgId=${org}`),
    ];
    expect(answers.map(({ body }) => body.key ?? body.keys.length > 0)).toEqual([canary.secret, canary.secret, true]);
    for (const answer of answers) expect(canary.formsIn(await everythingTold(answer))).toEqual([]);
    expect(canary.formsIn(answers[2]?.text ?? '')).toEqual([]);
  });

  it('is told nowhere when it is a key of our own', async () => {
    const { key } = await service.issueKey(org);
    const { key: serviceKey, as } = await newServiceCaller(service, { permissions: ['provider-keys:read'] });
    const answers = [
      await service.asHolder(key.slice(0, -1), '/validate'),
      await send('GET', `/internal/keys?clerkOrgId=${org}`, { 'X-Service-Key': serviceKey.slice(0, -1) }),
      await as('GET', '/internal/keys'),
      await as('GET', `/internal/api-keys?clerkOrgId=${org}`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 400, 403]);
    const ours = [key.slice(8, 48), apiKey.slice(8, 48), serviceKey.slice(11, 51), SERVICE_KEY];
    for (const answer of answers) {
      const text = await everythingTold(answer);
      for (const secret of ours) expect(text).not.toContain(secret);
    }
  });
});

describe('a secret that is where it does not belong', () => {
  it.each<[string, number, Send]>([
    ['a query parameter', 200, (s) => send('GET', `/health?token=${s}`)],
    ['the name of a query parameter', 200, (s) => send('GET', `/health?${s}=1`)],
    ['a path that does not exist', 404, (s) => send('GET', `/${s}`)],
    ['a path of another method', 405, (s) => send('PATCH', `/internal/keys/${s}`, SERVICE)],
    ['a provider to validate', 404, (s) => service.asHolder(apiKey, `/validate/keys/${s}`)],
    ['a provider with a character too many', 400, (s) => service.asHolder(apiKey, `/validate/keys/${s}_`)],
    ['a provider to decrypt', 404, (s) => service.asService('GET', `/internal/keys/${s}/decrypt?clerkOrgId=${org}`)],
    ['a provider to delete', 200, (s) => service.asService('DELETE', `/internal/keys/${s}?clerkOrgId=${org}`)],
    ['a provider to store', 400, (s) => service.saveProviderKey(org, `${s}!`, 'not-a-real-key')],
    ['an id of a key', 404, (s) => service.asService('GET', `/internal/api-keys/${s}?clerkOrgId=${org}`)],
    ['an id of a key to revoke', 404, (s) => service.asService('DELETE', `/internal/api-keys/${s}?clerkOrgId=${org}`)],
    [
      'a name of a service',
      400,
      (s) => send('POST', '/internal/service-keys', SERVICE, { name: `${s}!`, permissions: [s], revealProviders: [s] }),
    ],
    ['an id of a service key', 404, (s) => service.asService('DELETE', `/internal/service-keys/${s}`)],
    ['a cursor', 400, (s) => service.asService('GET', `/internal/api-keys?clerkOrgId=${org}&cursor=${s}`)],
    ['a limit', 400, (s) => service.asService('GET', `/internal/api-keys?clerkOrgId=${org}&limit=${s}`)],
    ['a scope that is asked for', 400, (s) => service.asHolder(apiKey, `/validate?scope=${s}!`)],
    ['an organisation', 400, (s) => service.asService('GET', `/internal/keys?clerkOrgId=${s}%20x`)],
    [
      'a provider to list the versions of',
      200,
      (s) => service.asService('GET', `/internal/keys/${s}/versions?clerkOrgId=${org}`),
    ],
    ['a provider to check', 404, (s) => send('POST', `/internal/keys/${s}/check`, SERVICE, { clerkOrgId: org })],
    [
      'a version to roll back to',
      400,
      (s) => send('POST', '/internal/keys/first/rollback', SERVICE, { clerkOrgId: org, version: s }),
    ],
    [
      'an outcome to report',
      400,
      (s) => send('POST', '/internal/keys/first/report', SERVICE, { clerkOrgId: org, version: 1, outcome: s }),
    ],
    ['a source', 400, (s) => send('PUT', '/internal/keys/first/source', SERVICE, { clerkOrgId: org, source: s })],
    ["a provider of the platform's", 404, (s) => service.asService('GET', `/internal/platform-keys/${s}/decrypt`)],
    ['a field that does not exist', 400, (s) => send('POST', '/internal/keys', SERVICE, { clerkOrgId: org, [s]: s })],
    [
      'a value of the wrong type',
      400,
      (s) => send('POST', '/internal/keys', SERVICE, { clerkOrgId: [s], provider: { s } }),
    ],
    ['an environment', 400, (s) => send('POST', '/internal/api-keys', SERVICE, { clerkOrgId: org, environment: s })],
    ['an expiry', 400, (s) => send('POST', '/internal/api-keys', SERVICE, { clerkOrgId: org, expiresAt: s })],
    [
      'a scope to grant',
      400,
      (s) => send('POST', '/internal/api-keys', SERVICE, { clerkOrgId: org, scopes: [`${s}!`] }),
    ],
    [
      'metadata with a NUL',
      400,
      (s) => send('POST', '/internal/api-keys', SERVICE, { clerkOrgId: org, metadata: { [s]: '\0' } }),
    ],
    ['a provider key with a space', 400, (s) => service.saveProviderKey(org, 'openai', `${s} ${s}`)],
    ['a provider key that is too long', 400, (s) => service.saveProviderKey(org, 'openai', s.repeat(400))],
    ['JSON that breaks off', 400, (s) => send('POST', '/internal/keys', json(), `{"apiKey":"${s}`)],
    ['JSON that is none', 400, (s) => send('POST', '/internal/keys', json(), s)],
    ['a JSON string', 400, (s) => send('POST', '/internal/keys', json(), JSON.stringify(s))],
    [
      'a body that is too large',
      413,
      (s) => send('POST', '/internal/keys', json(), JSON.stringify({ s: s.repeat(3_000) })),
    ],
    [
      'a body that is no JSON',
      415,
      (s) => send('POST', '/internal/keys', { ...SERVICE, 'Content-Type': 'text/plain' }, s),
    ],
    ['a content type', 415, (s) => send('POST', '/internal/keys', { ...SERVICE, 'Content-Type': `text/${s}` }, '{}')],
    [
      'a charset',
      415,
      (s) => send('POST', '/internal/keys', { ...SERVICE, 'Content-Type': `application/json; charset=${s}` }, '{}'),
    ],
    [
      'a header sent twice',
      401,
      (s) =>
        sendRaw(service.port, requestHead('GET /validate', `Authorization: Bearer ${s}`, `Authorization: Bearer ${s}`)),
    ],
    [
      'headers that are too large',
      431,
      (s) => sendRaw(service.port, requestHead('GET /health', `X-Other: ${s.repeat(700)}`)),
    ],
    ['a line that is no HTTP', 400, (s) => sendRaw(service.port, `${s}\r\n\r\n`)],
    [
      'a header that is none',
      400,
      (s) => sendRaw(service.port, `GET /health HTTP/1.1\r\nHost: x\r\n${s} ${s}\r\n\r\n`),
    ],
    ['a request id that is not acceptable', 200, (s) => send('GET', '/health', { 'X-Request-Id': `${s} ${s}` })],
    ['a method that does not exist', 400, (s) => sendRaw(service.port, requestHead(`${s} /health`))],
  ])('is told nowhere: %s', async (_what, status, attempt) => {
    await expectSilence(attempt, status);
  });
});

describe('a secret in a request that fails on our side', () => {
  afterEach(() => service.sql('alter table if exists key_service.gone rename to provider_keys'));

  it.each<[string, Send]>([
    ['to store', (s) => service.saveProviderKey(org, 'openai', s)],
    ['to find by', (s) => service.asHolder(apiKey, `/validate/keys/${s}`)],
    ['to delete by', (s) => service.asService('DELETE', `/internal/keys/${s}?clerkOrgId=${org}`)],
  ])('is told nowhere: a value %s', async (_what, attempt) => {
    await service.sql('alter table key_service.provider_keys rename to gone');
    await expectSilence(attempt, 500);
  });
});
