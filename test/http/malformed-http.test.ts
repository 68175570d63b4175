import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SERVICE_KEY } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** A request of these lines, with nothing added but the end of its head. */
const lines = (...head: string[]) => [...head, '', ''].join('\r\n');

describe('what is no valid HTTP request', () => {
  it.each([
    ['no HTTP at all', 'canary\r\n\r\n'],
    ['a TLS handshake', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x0d, 0x0a])],
    ['an unknown method', lines('CANARY /health HTTP/1.1', 'Host: a')],
    ['another version of HTTP', lines('GET /health HTTP/9.9', 'Host: a')],
    ['a header without a colon', lines('GET /health HTTP/1.1', 'Host: a', 'canary')],
    ['a header name with a space', lines('GET /health HTTP/1.1', 'Host: a', 'X Canary: canary')],
    ['a header value with a NUL character', lines('GET /health HTTP/1.1', 'Host: a', 'X-Canary: can\u0000ary')],
    ['a Content-Length that is no number', lines('POST /health HTTP/1.1', 'Host: a', 'Content-Length: canary')],
    ['two Content-Lengths', lines('POST /health HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Content-Length: 2')],
    [
      'a length and chunks at once, as smugglers send it',
      lines('POST /health HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
    ],
    [
      'a chunk whose size is no number',
      `${lines('POST /internal/keys HTTP/1.1', 'Host: a', `X-Service-Key: ${SERVICE_KEY}`, 'Content-Type: application/json', 'Transfer-Encoding: chunked')}canary\r\n`,
    ],
    ['no Host', lines('GET /health HTTP/1.1', 'Connection: close')],
    ['two Hosts', requestHead('GET /health', 'Host: canary')],
    ['a target that is no URL', requestHead('GET http://[canary')],
    ['a target of another scheme', requestHead('GET canary://health')],
    ['a tunnel', requestHead('CONNECT canary:443')],
  ])('400: is answered with a problem that echoes none of it: %s', async (_what, request) => {
    const answer = await sendRaw(service.port, request);
    expectProblem(answer, 400, 'invalid_request');
    expect(answer.text.toLowerCase()).not.toContain('canary');
  });

  it('a tunnel whose sender goes away at once does not end the service', async () => {
    for (let n = 0; n < 20; n += 1) {
      const socket = connect(service.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(requestHead('CONNECT canary:443'));
      socket.resetAndDestroy();
    }
    // An error that nobody listens to would have failed this run.
    await vi.waitFor(async () => expect((await service.request('GET', '/health')).status).toBe(200));
  });

  it('a tunnel that its sender keeps open after the refusal is closed, and holds up no stop', async () => {
    const other = await startService();
    const socket = connect({ port: other.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write(requestHead('CONNECT canary:443'));
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /);
    await other.stop();
    socket.destroy();
  });

  it.each([
    ['at once', ['GET /health'], [200]],
    ['when the database has been asked', ['GET /health', 'GET /internal/api-keys?clerkOrgId=org_tunnel'], [200, 200]],
  ])(
    'a tunnel does not take the place of the answers to what came before it, given %s',
    async (_when, before, statuses) => {
      const requests = before.map((line) => lines(`${line} HTTP/1.1`, 'Host: a', `X-Service-Key: ${SERVICE_KEY}`));
      const { status, rest } = await sendRaw(service.port, `${requests.join('')}${requestHead('CONNECT canary:443')}`);
      const others = [...rest.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, other]) => Number(other));
      expect([status, ...others]).toEqual([...statuses, 400]);
    },
  );

  it('417: an expectation that is not known is answered with a request id, and kept by nobody', async () => {
    const { status, headers } = await sendRaw(service.port, requestHead('GET /health', 'Expect: the-unexpected'));
    // Ignoring what is not known is allowed as well (RFC 9110 §10.1.1).
    expect([200, 417]).toContain(status);
    expect(headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('that follows a valid one does not take the place of its answer', async () => {
    const valid = lines('GET /health HTTP/1.1', 'Host: a', 'X-Request-Id: the-valid-one');
    const answer = await sendRaw(service.port, `${valid}canary\r\n\r\n`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-request-id')).toBe('the-valid-one');
  });

  it.each([
    ['not even a request', 'nonsense\r\n\r\n'],
    ['a request that is not proper', requestHead('GET canary://health')],
  ])('is answered with the security headers and the caching of any answer: %s', async (_what, request) => {
    const proper = await sendRaw(service.port, requestHead('GET /nothing-here'));
    const names = (headers: Headers) => [...headers.keys()].filter((name) => name !== 'date').toSorted();
    const { headers } = await sendRaw(service.port, request);
    expect(names(headers)).toEqual(names(proper.headers));
    expect(headers.get('content-security-policy')).toBe(proper.headers.get('content-security-policy'));
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('leaves the service as it was', async () => {
    await Promise.allSettled(Array.from({ length: 20 }, () => sendRaw(service.port, 'nonsense\r\n\r\n')));
    expect((await service.request('GET', '/health')).status).toBe(200);
  });
});

describe('a great many headers', () => {
  it('do not hide a second Authorization', async () => {
    const { key } = await service.issueKey('org_many_headers');
    const many = Array.from({ length: 2_200 }, () => 'a:b');
    const credentials = [`Authorization: Bearer ${key}`, ...many, 'Authorization: Bearer another'];
    const answer = await sendRaw(service.port, requestHead('GET /validate', ...credentials));
    expectProblem(answer, 401, 'api_key_invalid');
  });
});

describe('headers of more than 16 KiB', () => {
  it.each([
    ['in one header', [`X-Canary: ${'x'.repeat(17_000)}`]],
    ['in many headers', Array.from({ length: 170 }, (_, n) => `X-Canary-${n}: ${'x'.repeat(90)}`)],
    ['in the Authorization', [`Authorization: Bearer ${'x'.repeat(17_000)}`]],
  ])('431: are refused with a problem, %s', async (_where, headers) => {
    expectProblem(await sendRaw(service.port, requestHead('GET /validate', ...headers)), 431, 'headers_too_large');
  });

  it('431: are refused in a URL too', async () => {
    const answer = await sendRaw(service.port, requestHead(`GET /health?${'x'.repeat(17_000)}`));
    expectProblem(answer, 431, 'headers_too_large');
  });

  it('200: are no more than 16 KiB with a little less', async () => {
    const answer = await sendRaw(service.port, requestHead('GET /health', `X-Filler: ${'x'.repeat(16_000)}`));
    expect(answer.status).toBe(200);
  });
});

describe('unusual requests that are valid HTTP', () => {
  it.each([
    ['HTTP/1.0 without a Host', lines('GET /health HTTP/1.0')],
    ['an absolute URL', requestHead('GET http://key-service.test/health')],
    ['an offer to upgrade', requestHead('GET /health', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13')],
    ['header names in any case', requestHead('GET /health', 'x-ReQuEsT-iD: a')],
  ])('200: are answered: %s', async (_what, request) => {
    const { status, body } = await sendRaw(service.port, request);
    expect({ status, service: body?.service }).toEqual({ status: 200, service: 'key-service' });
  });

  it('404: the whole server is nothing here', async () => {
    expectProblem(await sendRaw(service.port, requestHead('OPTIONS *')), 404, 'not_found');
  });

  it('answers requests on one connection in their order, and each with its own id', async () => {
    const one = (id: string) => lines('GET /health HTTP/1.1', 'Host: a', `X-Request-Id: ${id}`);
    const { headers, rest } = await sendRaw(
      service.port,
      `${one('first')}${one('second')}${requestHead('GET /health', 'X-Request-Id: third')}`,
    );
    expect(headers.get('x-request-id')).toBe('first');
    const others = [...rest.matchAll(/X-Request-Id: (\w+)/gi)].map(([, id]) => id);
    expect(others).toEqual(['second', 'third']);
  });
});
