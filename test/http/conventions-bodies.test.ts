import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';

const LIMIT = 64 * 1024;

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

function post(body: string | Uint8Array | undefined, headers: Record<string, string> = {}) {
  return service.request('POST', '/internal/api-keys', { body, headers: { 'X-Service-Key': SERVICE_KEY, ...headers } });
}

/** A valid body of exactly this many bytes. */
function bodyOf(bytes: number): string {
  const json = JSON.stringify({ clerkOrgId: newOrganization() });
  return json + ' '.repeat(bytes - json.length);
}

describe('a JSON body', () => {
  describe('2xx', () => {
    it('may have 64 KiB', async () => {
      expect((await post(bodyOf(LIMIT))).status).toBe(201);
    });

    it.each([
      'application/json',
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
      'APPLICATION/JSON',
    ])('may be announced as %s', async (type) => {
      expect((await post(bodyOf(100), { 'Content-Type': type })).status).toBe(201);
    });

    it('may be compressed', async () => {
      expect((await post(gzipSync(bodyOf(100)), { 'Content-Encoding': 'gzip' })).status).toBe(201);
    });

    it('may come in chunks of unknown number', async () => {
      const body = bodyOf(100);
      const head = requestHead(
        'POST /internal/api-keys',
        `X-Service-Key: ${SERVICE_KEY}`,
        'Content-Type: application/json',
        'Transfer-Encoding: chunked',
      );
      const chunks = [body.slice(0, 7), body.slice(7)].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
      expect((await sendRaw(service.port, `${head}${chunks.join('')}0\r\n\r\n`)).status).toBe(201);
    });

    it('is not looked at where none is asked for', async () => {
      const head = requestHead('GET /health', 'Content-Type: text/plain', 'Content-Length: 3');
      expect((await sendRaw(service.port, `${head}{{{`)).status).toBe(200);
    });
  });

  describe('400', () => {
    it.each(['"canary"', '7', 'null', 'true'])('is the answer to %s, which is JSON and no object', async (body) => {
      const answer = await service.request('POST', '/internal/keys', {
        body,
        headers: { 'X-Service-Key': SERVICE_KEY },
      });
      expect(answer.status).toBe(400);
      expect(answer.body.detail).toBe('The request must be of type object.');
      expect(answer.text).not.toContain('canary');
    });

    it.each([
      ['cut short', '{"clerkOrgId":"canary'],
      ['with a comma too many', '{"clerkOrgId":"canary",}'],
      ['with single quotes', "{'clerkOrgId':'canary'}"],
      ['with two values', '{"clerkOrgId":"canary"}{}'],
      ['with a raw control character', '{"clerkOrgId":"canary\n"}'],
      ['of text', 'canary'],
      ['of white space', '   '],
    ])('malformed_json: is the answer to one %s, which is not echoed', async (_what, body) => {
      const answer = await post(body);
      expectProblem(answer, 400, 'malformed_json');
      expect(answer.text).not.toContain('canary');
    });

    it.each([
      ['a byte that starts nothing', [0xff]],
      ['half a character', [0xc3]],
      ['an overlong slash', [0xc0, 0xaf]],
      ['a surrogate written as bytes', [0xed, 0xa0, 0x80]],
    ])('malformed_json: is the answer to %s in it, which is no UTF-8', async (_what, bytes) => {
      const body = Buffer.concat([Buffer.from('{"clerkOrgId":"org_'), Buffer.from(bytes), Buffer.from('"}')]);
      expectProblem(await post(body), 400, 'malformed_json');
    });

    it.each([
      ['a list', '[]'],
      ['a list of one object', '[{"clerkOrgId":"org_a"}]'],
      ['missing', undefined],
      ['empty', ''],
    ])('invalid_request: is the answer to one that is %s', async (_what, body) => {
      expectInvalid(await post(body), '');
    });

    it.each([
      ['one that is not compressed at all', Buffer.from('{}')],
      ['one that is cut short', gzipSync('{"clerkOrgId":"org_a"}').subarray(0, 15)],
    ])('is the answer to %s, and said to be compressed', async (_what, body) => {
      const answer = await post(body, { 'Content-Encoding': 'gzip' });
      expectProblem(answer, 400, 'invalid_request');
    });

    it('invalid_request: is the answer to two Content-Type headers', async () => {
      const head = requestHead(
        'POST /internal/api-keys',
        `X-Service-Key: ${SERVICE_KEY}`,
        'Content-Type: application/json',
        'Content-Type: text/plain',
        'Content-Length: 2',
      );
      expectProblem(await sendRaw(service.port, `${head}{}`), 400, 'invalid_request');
    });
  });

  describe('413', () => {
    it('is the answer to one byte more than 64 KiB', async () => {
      expectProblem(await post(bodyOf(LIMIT + 1)), 413, 'payload_too_large');
    });

    it('is the answer to as much in chunks', async () => {
      const head = requestHead(
        'POST /internal/api-keys',
        `X-Service-Key: ${SERVICE_KEY}`,
        'Content-Type: application/json',
        'Transfer-Encoding: chunked',
      );
      const body = bodyOf(LIMIT + 1);
      const chunked = `${head}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
      expectProblem(await sendRaw(service.port, chunked), 413, 'payload_too_large');
    });

    it('is the answer to few bytes that unpack to many', async () => {
      const bomb = gzipSync(bodyOf(20 * 1024 * 1024));
      expect(bomb.length).toBeLessThan(LIMIT);
      expectProblem(await post(bomb, { 'Content-Encoding': 'gzip' }), 413, 'payload_too_large');
    });

    it('leaves the service as it was', async () => {
      await post(bodyOf(LIMIT * 3));
      expect((await post(bodyOf(100))).status).toBe(201);
    });
  });

  describe('415', () => {
    it.each([
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json-seq',
      'application/problem+json',
      'application/json; charset=utf-16',
      'application/json; charset=iso-8859-1',
      'json',
    ])('is the answer to Content-Type: %s', async (type) => {
      expectProblem(await post(bodyOf(100), { 'Content-Type': type }), 415, 'unsupported_media_type');
    });

    it('is the answer to a body without a Content-Type', async () => {
      const head = requestHead('POST /internal/api-keys', `X-Service-Key: ${SERVICE_KEY}`, 'Content-Length: 2');
      expectProblem(await sendRaw(service.port, `${head}{}`), 415, 'unsupported_media_type');
    });

    it('is the answer to a compression that is not known', async () => {
      expectProblem(await post('{}', { 'Content-Encoding': 'zstd' }), 415, 'unsupported_media_type');
    });
  });
});
