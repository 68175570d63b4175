import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const BODIES: [path: string, body: () => Record<string, unknown>][] = [
  ['/internal/api-keys', () => ({ clerkOrgId: newOrganization() })],
  ['/internal/keys', () => ({ clerkOrgId: newOrganization(), provider: 'openai', apiKey: 'not-a-real-one' })],
  ['/internal/service-keys', () => ({ name: 'billing' })],
];
const READS = (org: string) => [
  `/internal/api-keys?clerkOrgId=${org}`,
  `/internal/api-keys/01890000-0000-7000-8000-000000000000?clerkOrgId=${org}`,
  `/internal/keys?clerkOrgId=${org}`,
  `/internal/keys/openai/decrypt?clerkOrgId=${org}`,
];

describe('unknown fields', () => {
  it.each(BODIES)('in the body of POST %s are refused by name', async (path, body) => {
    expectInvalid(await service.asService('POST', path, { ...body(), bogus: 1, other: null }), '/bogus', '/other');
  });

  it.each(BODIES)(
    'in the body of POST %s are refused when JavaScript gives their names a meaning',
    async (path, body) => {
      for (const name of ['__proto__', 'constructor', 'toString']) {
        const text = `${JSON.stringify(body()).slice(0, -1)},"${name}":{"admin":true}}`;
        expectProblem(await service.asService('POST', path, text), 400, 'invalid_request');
      }
    },
  );

  it('are not sent back when their name could be a secret', async () => {
    const answer = await service.asService('POST', '/internal/keys', { 'sk-not-a-real-secret-0123456789': 'openai' });
    expectProblem(answer, 400, 'invalid_request');
    expect(answer.text).not.toContain('sk-not');
  });

  it('in the query are ignored, whatever they are called', async () => {
    const extra = 'bogus=1&__proto__=x&constructor=y&a[b]=c&%ff=%ff&limits=0';
    for (const path of READS(newOrganization())) {
      const [plain, more] = [await service.asService('GET', path), await service.asService('GET', `${path}&${extra}`)];
      expect(more.status, path).toBe(plain.status);
      expect(more.body.code, path).toBe(plain.body.code);
    }
  });
});

describe('NUL characters and lone surrogates', () => {
  const UNSAFE: [what: string, text: string][] = [
    ['a NUL character', 'a\u0000b'],
    ['a high surrogate alone', 'a\ud83d'],
    ['a low surrogate alone', '\ude00b'],
    ['surrogates in the wrong order', '\ude00\ud83d'],
  ];
  describe.each(UNSAFE)('%s', (_what, text) => {
    it.each<[where: string, path: string, body: Record<string, unknown>]>([
      ['clerkOrgId', '/internal/api-keys', { clerkOrgId: text }],
      ['name', '/internal/api-keys', { clerkOrgId: 'org_a', name: text }],
      ['scopes', '/internal/api-keys', { clerkOrgId: 'org_a', scopes: [text] }],
      ['a value of metadata', '/internal/api-keys', { clerkOrgId: 'org_a', metadata: { a: text } }],
      ['a value deep in metadata', '/internal/api-keys', { clerkOrgId: 'org_a', metadata: { a: [{ b: [text] }] } }],
      ['a name in metadata', '/internal/api-keys', { clerkOrgId: 'org_a', metadata: { [text]: 1 } }],
      ['a name deep in metadata', '/internal/api-keys', { clerkOrgId: 'org_a', metadata: { a: [{ [text]: 1 }] } }],
      ['clerkOrgId of a provider key', '/internal/keys', { clerkOrgId: text, provider: 'openai', apiKey: 'not-real' }],
      ['provider', '/internal/keys', { clerkOrgId: 'org_a', provider: text, apiKey: 'not-real' }],
      ['apiKey', '/internal/keys', { clerkOrgId: 'org_a', provider: 'openai', apiKey: text }],
      ['the name of a field', '/internal/keys', { [text]: 1 }],
    ])('400: is refused in %s', async (_where, path, body) => {
      expectProblem(await service.asService('POST', path, body), 400, 'invalid_request');
    });
  });

  it('400: are refused in every query that names an organisation', async () => {
    for (const path of READS('org%00')) expectInvalid(await service.asService('GET', path), '/clerkOrgId');
  });

  it('400 or 404: are refused in a path', async () => {
    const answers = [
      await service.asService('GET', '/internal/keys/%00/decrypt?clerkOrgId=org_a'),
      await service.asService('GET', '/internal/api-keys/%00?clerkOrgId=org_a'),
      await service.asService('DELETE', '/internal/keys/a%00?clerkOrgId=org_a'),
    ];
    for (const answer of answers) {
      expect([400, 404]).toContain(answer.status);
      expectProblem(answer, answer.status, answer.body.code);
    }
  });

  it('201: pairs of surrogates are characters like any other', async () => {
    const body = { clerkOrgId: newOrganization(), name: '\ud83d\ude00', metadata: { '😀': '😀' } };
    const answer = await service.asService('POST', '/internal/api-keys', body);
    expect({ status: answer.status, name: answer.body.name }).toEqual({ status: 201, name: '😀' });
    expect(answer.body.metadata).toEqual({ '😀': '😀' });
  });
});

describe('deep nesting', () => {
  it.each([
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('400: is refused in %s, however deep', async (_what, open, close) => {
    for (const depth of [100, 9_000]) {
      const nested = `${open.repeat(depth)}${open === '[' ? '' : '1'}${close.repeat(depth)}`;
      const inMetadata = `{"clerkOrgId":"org_a","metadata":{"a":${nested}}}`;
      const answer = await service.asService('POST', '/internal/api-keys', inMetadata);
      expectProblem(answer, 400, 'invalid_request');
      expectProblem(await service.asService('POST', '/internal/api-keys', nested), 400, 'invalid_request');
    }
  });
});

describe('a malformed path', () => {
  it.each(['%', '%zz', '%ff', '%c0%af', '%ed%a0%80', 'a%f'])('400: is refused when it holds %s', async (part) => {
    const answers = [
      await service.asService('GET', `/internal/api-keys/${part}?clerkOrgId=org_a`),
      await service.asService('DELETE', `/internal/api-keys/${part}?clerkOrgId=org_a`),
      await service.asService('DELETE', `/internal/keys/${part}?clerkOrgId=org_a`),
      await service.asService('GET', `/internal/keys/${part}/decrypt?clerkOrgId=org_a`),
      await service.request('GET', `/validate/keys/${part}`),
    ];
    for (const answer of answers) expectProblem(answer, 400, 'invalid_request');
  });
});

describe('a clerkOrgId that is sent twice', () => {
  it('400: is refused in every query', async () => {
    for (const path of READS('org_a')) {
      expectInvalid(await service.asService('GET', `${path}&clerkOrgId=org_b`), '/clerkOrgId');
    }
    const paths = ['/internal/keys/openai', '/internal/api-keys/01890000-0000-7000-8000-000000000000'];
    for (const path of paths) {
      const answer = await service.asService('DELETE', `${path}?clerkOrgId=org_a&clerkOrgId=org_b`);
      expectInvalid(answer, '/clerkOrgId');
    }
  });
});

describe('an error', () => {
  it('holds neither a stack trace, a file path, SQL nor a value that was sent', async () => {
    const canary = 'canary-sk-not-a-real-secret';
    const headers = { 'X-Service-Key': SERVICE_KEY, 'X-Canary': canary, Cookie: `a=${canary}` };
    const calls: [method: string, path: string, body?: unknown][] = [
      ['GET', `/internal/api-keys?clerkOrgId=${canary}%20&limit=${canary}&cursor=${canary}`],
      ['GET', `/internal/keys/${canary.toUpperCase()}/decrypt?clerkOrgId=org_a`],
      ['POST', '/internal/api-keys', { clerkOrgId: [canary], name: [canary], expiresAt: canary, environment: canary }],
      ['POST', '/internal/keys', { clerkOrgId: 'org_a', provider: canary.toUpperCase(), apiKey: `${canary} x` }],
      ['POST', '/internal/keys', `{"apiKey":"${canary}`],
      ['GET', `/${canary}?${canary}=${canary}`],
      ['PATCH', `/health?${canary}`],
    ];
    for (const [method, path, body] of calls) {
      const answer = await service.request(method, path, { body, headers });
      expectProblem(answer, answer.status, answer.body.code);
      expect(answer.status, path).toBeGreaterThanOrEqual(400);
      const whole = (answer.text + JSON.stringify([...answer.headers])).toLowerCase();
      expect(whole).not.toContain(canary);
      expect(whole).not.toMatch(/node_modules|\/src\/|\bat \w+ \(|select |insert into|postgres/);
    }
    expect(JSON.stringify(service.logLines).toLowerCase()).not.toContain(canary);
  });
});
