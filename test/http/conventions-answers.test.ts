import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, SERVICE_KEY } from '../support/client.ts';
import { startFurnishedService } from '../support/furnished-service.ts';
import { expectProblem } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { OPERATIONS, ROUTES } from '../support/routes.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
let org: string;
let key: string;
let id: string;
beforeAll(async () => {
  ({ service, org, key, id } = await startFurnishedService());
});
afterAll(() => service.stop());

/** One answer of each kind: of every endpoint, and of every status that can be had without breaking anything. */
function everyKindOfAnswer(headers: Record<string, string> = {}): [what: string, answer: Promise<Answer>][] {
  const call = (method: string, path: string, more: Record<string, string> = {}, body?: unknown) =>
    [`${method} ${path}`, service.request(method, path, { body, headers: { ...headers, ...more } })] as [
      string,
      Promise<Answer>,
    ];
  const asService = { 'X-Service-Key': SERVICE_KEY };
  const asHolder = { Authorization: `Bearer ${key}` };
  return [
    call('GET', '/health'),
    call('GET', '/health/ready'),
    call('GET', '/validate', asHolder),
    call('GET', '/validate/keys/openai', asHolder),
    call('GET', `/internal/api-keys?clerkOrgId=${org}`, asService),
    call('POST', '/internal/api-keys', asService, { clerkOrgId: org }),
    call('GET', `/internal/keys?clerkOrgId=${org}`, asService),
    call('POST', '/internal/keys', asService, { clerkOrgId: org, provider: 'openai', apiKey: 'not-a-real-one' }),
    call('DELETE', `/internal/keys/none?clerkOrgId=${org}`, asService),
    call('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`, asService),
    call('GET', '/internal/service-keys', asService),
    call('POST', '/internal/service-keys', asService, { name: 'billing' }),
    call('DELETE', '/internal/service-keys/none', asService),
    call('GET', '/internal/api-keys', asService),
    call('GET', '/validate'),
    call('GET', '/internal/keys'),
    call('DELETE', `/internal/api-keys/none?clerkOrgId=${org}`, asService),
    call('GET', '/nothing-here'),
    call('PUT', '/validate'),
    call('POST', '/internal/api-keys', asService, 'x'.repeat(70_000)),
    call('POST', '/internal/api-keys', asService, '{'),
    call('POST', '/internal/api-keys', { ...asService, 'Content-Type': 'text/plain' }, 'x'),
    call('GET', '/internal/api-keys/%ff', asService),
  ];
}

describe('the request id', () => {
  it.each(['a', 'Trace.2026-01_x', 'x'.repeat(128)])('%s is taken from the request, on every answer', async (sent) => {
    for (const [what, answer] of everyKindOfAnswer({ 'X-Request-Id': sent })) {
      const { headers, status, body } = await answer;
      expect(headers.get('x-request-id'), what).toBe(sent);
      if (status >= 400) expect(body.requestId, what).toBe(sent);
    }
  });

  it.each([
    ['is empty', ''],
    ['holds a space', 'two words'],
    ['holds what would start another log line or header', 'a\tb'],
    ['holds markup', '<script>'],
    ['is not ASCII', 'é'],
    ['has 129 characters', 'x'.repeat(129)],
  ])('is made here when the one that was sent %s', async (_what, sent) => {
    const { headers, body } = await service.request('GET', '/nothing-here', { headers: { 'X-Request-Id': sent } });
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(body.requestId).toBe(headers.get('x-request-id'));
  });

  it('is made here when two were sent', async () => {
    const head = requestHead('GET /health', 'X-Request-Id: first', 'X-Request-Id: second');
    expect((await sendRaw(service.port, head)).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is another for every request', async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => (await service.request('GET', '/health')).headers.get('x-request-id')),
    );
    expect(new Set(ids).size).toBe(20);
  });

  it("is on the request's log line, which names the route's pattern and never the URL", async () => {
    const secret = 'canary-in-the-query';
    await service.request('GET', `/internal/api-keys/${id}?clerkOrgId=${org}&x=${secret}`, {
      headers: { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': 'traced-1' },
    });
    const line = await vi.waitFor(() => {
      const lines = service.logLines.filter(({ requestId }) => requestId === 'traced-1');
      expect(lines).toHaveLength(1);
      return lines[0];
    });
    expect(line).toMatchObject({ method: 'GET', route: '/internal/api-keys/:id', status: 200, level: 'info' });
    expect(line?.['durationMs']).toBeGreaterThan(0);
    for (const text of [secret, org, id]) expect(JSON.stringify(line)).not.toContain(text);
  });
});

describe('every answer', () => {
  it('is kept by nobody, and has no ETag', async () => {
    for (const [what, answer] of everyKindOfAnswer()) {
      const { headers } = await answer;
      expect(headers.get('cache-control'), what).toBe('no-store');
      expect(headers.get('etag'), what).toBeNull();
    }
  });

  it('has security headers, and does not say what made it', async () => {
    for (const [what, answer] of everyKindOfAnswer()) {
      const { headers } = await answer;
      expect(headers.get('x-powered-by'), what).toBeNull();
      expect(headers.get('server'), what).toBeNull();
      expect(headers.get('x-content-type-options'), what).toBe('nosniff');
      expect(headers.get('x-frame-options'), what).toBe('DENY');
      expect(headers.get('referrer-policy'), what).toBe('no-referrer');
      expect(headers.get('strict-transport-security'), what).toMatch(/max-age=\d{7,}/);
      expect(headers.get('content-security-policy'), what).toBe("default-src 'none';frame-ancestors 'none'");
    }
  });

  it('may be kept by anyone for a while where it is a public document', async () => {
    for (const path of ['/openapi.json', '/docs/', '/docs/swagger-ui.css']) {
      const { status, headers } = await service.request('GET', path, { headers: { 'X-Request-Id': 'a-reader' } });
      expect(status, path).toBe(200);
      expect(headers.get('cache-control'), path).toBe('public, max-age=300');
      expect(headers.get('x-request-id'), path).toBe('a-reader');
      expect(headers.get('x-content-type-options'), path).toBe('nosniff');
      expect(headers.get('strict-transport-security'), path).toMatch(/max-age=\d{7,}/);
    }
  });

  it("has all of helmet's headers where it is a page, which no other origin may embed", async () => {
    for (const path of ['/docs/', '/docs/swagger-ui.css']) {
      const { headers } = await service.request('GET', path);
      expect(headers.get('content-security-policy'), path).toContain("script-src 'self'");
      expect(headers.get('content-security-policy'), path).toContain("frame-ancestors 'self'");
      expect(headers.get('cross-origin-resource-policy'), path).toBe('same-origin');
      expect(headers.get('cross-origin-opener-policy'), path).toBe('same-origin');
    }
  });

  it('is JSON in UTF-8 below 400, and a problem from 400 on', async () => {
    for (const [what, answer] of everyKindOfAnswer()) {
      const { status, headers, body } = await answer;
      if (status < 400) expect(headers.get('content-type'), what).toBe('application/json; charset=utf-8');
      else expectProblem(await answer, status, body.code);
    }
  });

  it('has a type that is the address of the description of its code', async () => {
    const elsewhere = await startService({ environment: { ERROR_DOCS_URL: 'https://docs.test/problems' } });
    try {
      const { body } = await elsewhere.request('GET', '/nothing-here');
      expect(body.type).toBe('https://docs.test/problems#not_found');
    } finally {
      await elsewhere.stop();
    }
  });
});

describe('404 not_found', () => {
  it.each(['/', '/nothing-here', '/internal', '/internal/keys/openai/decrypt/more', '/validate/keys', '/metrics'])(
    'is the answer to %s, whoever asks',
    async (path) => {
      expectProblem(await service.request('GET', path), 404, 'not_found');
      expectProblem(await service.asService('POST', path, {}), 404, 'not_found');
    },
  );
});

describe('405 method_not_allowed', () => {
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  const documents = [
    { path: '/openapi.json', example: '/openapi.json', allow: 'GET, HEAD' },
    { path: '/docs', example: '/docs/', allow: 'GET, HEAD' },
  ];
  it.each([...ROUTES, ...documents])('is the answer of $path to all but $allow, and says so', async (route) => {
    const { allow, example } = route;
    for (const method of METHODS.filter((method) => !allow.split(', ').includes(method))) {
      const answer = await service.request(method, example);
      expect({ method, status: answer.status, allow: answer.headers.get('allow') }).toEqual({
        method,
        status: 405,
        allow,
      });
      if (method !== 'HEAD') expectProblem(answer, 405, 'method_not_allowed');
    }
  });

  it.each(OPERATIONS)('is not the answer of $path to $method', async ({ method, example }) => {
    expect((await service.request(method, example)).status).not.toBe(405);
  });
});
