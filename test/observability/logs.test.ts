import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** The lines about one request, once there are any. */
async function linesOf(requestId: string): Promise<Record<string, unknown>[]> {
  const lines = () => service.logLines.filter((line) => line['requestId'] === requestId);
  await vi.waitFor(() => expect(lines()).not.toEqual([]));
  return lines();
}

/** Makes a request with an id of its own, and gives its lines. */
async function linesAfter(method: string, path: string, headers: Record<string, string> = {}, body?: unknown) {
  const requestId = crypto.randomUUID();
  await service.request(method, path, { headers: { 'X-Request-Id': requestId, ...headers }, body });
  return linesOf(requestId);
}

const SERVICE = { 'X-Service-Key': SERVICE_KEY };

describe('the log line of a request', () => {
  it('is one, with request id, method, route, status, duration and caller', async () => {
    const lines = await linesAfter('GET', `/internal/keys?clerkOrgId=${newOrganization()}`, SERVICE);
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        service: 'key-service',
        requestId: expect.any(String),
        method: 'GET',
        route: '/internal/keys',
        status: 200,
        durationMs: expect.any(Number),
        caller: 'service:root',
        msg: 'request',
      },
    ]);
    expect(lines[0]?.['durationMs']).toBeGreaterThan(0);
    expect(lines[0]?.['durationMs']).toBeLessThan(20_000);
  });

  it('names the API key that called by its id', async () => {
    const { id, key } = await service.issueKey(newOrganization());
    const [line] = await linesAfter('GET', '/validate', { Authorization: `Bearer ${key}` });
    expect(line).toMatchObject({ route: '/validate', status: 200, caller: `api-key:${id}` });
  });

  it('names nobody when nobody was known, or was needed', async () => {
    const [refused] = await linesAfter('GET', '/validate', { Authorization: 'Bearer not-a-real-key' });
    const [health] = await linesAfter('GET', '/health');
    expect(refused).not.toHaveProperty('caller');
    expect(health).not.toHaveProperty('caller');
  });

  it.each([
    ['GET', '/validate/keys/some-provider?x=y', '/validate/keys/:provider'],
    ['GET', '/internal/api-keys/some-id?clerkOrgId=x', '/internal/api-keys/:id'],
    ['DELETE', '/internal/api-keys/some-id', '/internal/api-keys/:id'],
    ['DELETE', '/internal/keys/some-provider', '/internal/keys/:provider'],
    ['GET', '/internal/keys/some-provider/decrypt', '/internal/keys/:provider/decrypt'],
    ['PUT', '/internal/keys/some-provider/decrypt', '/internal/keys/:provider/decrypt'],
    ['HEAD', '/validate/keys/some-provider', '/validate/keys/:provider'],
    ['GET', '/nowhere/some-path?some=query', 'unmatched'],
    ['GET', '/internal/api-keys/%ff', 'unmatched'],
  ])('tells the pattern of a route and nothing of the URL: %s %s', async (method, path, route) => {
    const lines = await linesAfter(method, path, SERVICE);
    expect(lines).toEqual([expect.objectContaining({ method, route })]);
    expect(JSON.stringify(lines)).not.toMatch(/some|%ff|\?|clerkOrgId/);
  });

  it.each([
    ['GET', '/validate', 401, 'api_key_missing'],
    ['GET', '/nowhere', 404, 'not_found'],
    ['PUT', '/health', 405, 'method_not_allowed'],
    ['GET', '/internal/keys', 401, 'service_key_missing'],
  ])('tells why %s %s was refused with %i, by its code', async (method, path, status, code) => {
    const lines = await linesAfter(method, path);
    expect(lines).toEqual([expect.objectContaining({ level: 'info', status, error: { code } })]);
  });

  it('is an error when the failure is ours, with its kind and where it happened', async () => {
    await service.sql('alter table key_service.api_keys rename to api_keys_gone');
    const lines = await linesAfter('GET', '/internal/api-keys?clerkOrgId=org_fake', SERVICE).finally(() =>
      service.sql('alter table key_service.api_keys_gone rename to api_keys'),
    );
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'error',
        msg: 'request failed',
        status: 500,
        error: {
          type: 'ServiceError',
          code: 'internal_error',
          context: { sqlState: '42P01' },
          origin: expect.stringMatching(/^[\w.-]+#[\w.<>#]+:\d+$/),
        },
      }),
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/relation|select|api_keys_gone|org_fake|\.ts|node_modules/);
  });

  it('has the request id that the answer has, also when the service made it', async () => {
    const { headers } = await service.request('GET', '/health', { headers: { 'X-Request-Id': 'not acceptable' } });
    const requestId = headers.get('x-request-id') ?? '';
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(await linesOf(requestId)).toHaveLength(1);
  });

  it('is written for a request whose sender went away', async () => {
    const requestId = crypto.randomUUID();
    const start = `POST /internal/keys HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${requestId}\r\n`;
    const { connect } = await import('node:net');
    const socket = connect(service.port, '127.0.0.1', () => {
      socket.write(
        `${start}X-Service-Key: ${SERVICE_KEY}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
        () => setTimeout(() => socket.destroy(), 100),
      );
    });
    expect(await linesOf(requestId)).toEqual([expect.objectContaining({ status: 400, route: '/internal/keys' })]);
  });

  it('is one for each request of a connection that sends several', async () => {
    const ids = Array.from({ length: 3 }, () => crypto.randomUUID());
    const head = (id: string) => `GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n\r\n`;
    const last = requestHead('GET /health', `X-Request-Id: ${ids[2]}`);
    await sendRaw(service.port, head(ids[0] ?? '') + head(ids[1] ?? '') + last);
    for (const id of ids) expect(await linesOf(id)).toHaveLength(1);
  });
});
