import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { OPERATIONS } from '../support/routes.ts';
import { startService, type TestService } from '../support/service.ts';

const PREVIOUS_KEY = 'the-service-key-before-not-a-real-one';
const CHALLENGE = 'Bearer realm="key-service"';
const INVALID_TOKEN = `${CHALLENGE}, error="invalid_token"`;
const PATH = '/internal/keys?clerkOrgId=org_a';

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { KEY_SERVICE_API_KEY_PREVIOUS: `  ${PREVIOUS_KEY}\n` } });
});
afterAll(() => service.stop());

const get = (headers: Record<string, string>) => service.request('GET', PATH, { headers });

describe('a service', () => {
  describe('200', () => {
    it.each<[how: string, headers: Record<string, string>]>([
      ['X-Service-Key', { 'X-Service-Key': SERVICE_KEY }],
      ['X-API-Key', { 'X-API-Key': SERVICE_KEY }],
      ['Authorization: Bearer', { Authorization: `Bearer ${SERVICE_KEY}` }],
      ['Authorization: bearer, in lower case', { Authorization: `bearer ${SERVICE_KEY}` }],
      [
        'X-Service-Key, whatever the others say',
        { 'X-Service-Key': SERVICE_KEY, 'X-API-Key': 'x', Authorization: 'x' },
      ],
      ['X-API-Key, whatever Authorization says', { 'X-API-Key': SERVICE_KEY, Authorization: 'Bearer ks_live_nobodys' }],
      ['X-Service-Key with the previous key', { 'X-Service-Key': PREVIOUS_KEY }],
      ['Authorization: Bearer with the previous key', { Authorization: `Bearer ${PREVIOUS_KEY}` }],
    ])('is known by %s', async (_how, headers) => {
      expect((await get(headers)).status).toBe(200);
    });

    it.each([
      ['X-Service-Key', `X-Service-Key: \t ${SERVICE_KEY} \t`],
      ['X-API-Key', `X-API-Key:${SERVICE_KEY}   `],
      ['Authorization', `Authorization:   Bearer \t  ${SERVICE_KEY}  `],
    ])('is known by a key with white space around it in %s', async (_name, header) => {
      expect((await sendRaw(service.port, requestHead(`GET ${PATH}`, header))).status).toBe(200);
    });

    it('is known by a configured key with white space around it', async () => {
      const spaced = await startService({ environment: { KEY_SERVICE_API_KEY: ` \t${SERVICE_KEY}\r\n` } });
      try {
        expect((await spaced.asService('GET', PATH)).status).toBe(200);
      } finally {
        await spaced.stop();
      }
    });

    it('is named in the log line of its request, and its key is not', async () => {
      const headers = { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': 'who-was-it' };
      await service.request('GET', PATH, { headers });
      const line = () => service.logLines.find(({ requestId }) => requestId === 'who-was-it');
      await expect.poll(() => line()?.['caller']).toBe('service:root');
      expect(JSON.stringify(service.logLines)).not.toContain(SERVICE_KEY);
    });
  });

  describe('401 service_key_missing', () => {
    it.each<[what: string, headers: Record<string, string>]>([
      ['no key', {}],
      ['an empty X-Service-Key', { 'X-Service-Key': '' }],
      ['an X-Service-Key of white space', { 'X-Service-Key': '  ' }],
      ['another scheme', { Authorization: `Basic ${SERVICE_KEY}` }],
      ['an empty bearer token', { Authorization: 'Bearer ' }],
    ])('is the answer to %s', async (_what, headers) => {
      const answer = await get(headers);
      expectProblem(answer, 401, 'service_key_missing');
      expect(answer.headers.get('www-authenticate')).toBe(CHALLENGE);
    });

    it.each(OPERATIONS.filter(({ caller }) => caller === 'service'))(
      'is the answer of $method $path',
      async (route) => {
        const body = route.method === 'POST' ? {} : undefined;
        expectProblem(await service.request(route.method, route.example, { body }), 401, 'service_key_missing');
      },
    );
  });

  describe('401 service_key_invalid', () => {
    it.each([
      ['of the same length', SERVICE_KEY.replace(/.$/, 'X')],
      ['that is shorter', SERVICE_KEY.slice(0, -1)],
      ['that is longer', `${SERVICE_KEY}e`],
      ['of one character', 'x'],
      ['of ten thousand characters', 'x'.repeat(10_000)],
      ['in another case', SERVICE_KEY.toUpperCase()],
      ['with white space inside', SERVICE_KEY.replace('-', ' ')],
      ['with both keys in one', `${SERVICE_KEY}, ${PREVIOUS_KEY}`],
      ['with characters that are not ASCII', 'ÿþ'],
    ])('is the answer to a key %s, in any header', async (_what, key) => {
      const ways: Record<string, string>[] = [
        { 'X-Service-Key': key },
        { 'X-API-Key': key },
        { Authorization: `Bearer ${key}` },
      ];
      for (const headers of ways) {
        const answer = await get(headers);
        expectProblem(answer, 401, 'service_key_invalid');
        expect(answer.headers.get('www-authenticate')).toBe(INVALID_TOKEN);
      }
    });

    it.each<[what: string, headers: Record<string, string>]>([
      ['a wrong X-Service-Key, though X-API-Key is right', { 'X-Service-Key': 'x', 'X-API-Key': SERVICE_KEY }],
      [
        'a wrong X-Service-Key, though the bearer is right',
        { 'X-Service-Key': 'x', Authorization: `Bearer ${SERVICE_KEY}` },
      ],
      ['a wrong X-API-Key, though the bearer is right', { 'X-API-Key': 'x', Authorization: `Bearer ${SERVICE_KEY}` }],
    ])('is the answer to %s', async (_what, headers) => {
      expectProblem(await get(headers), 401, 'service_key_invalid');
    });

    it.each([
      ['X-Service-Key', `X-Service-Key: ${SERVICE_KEY}`],
      ['X-API-Key', `X-API-Key: ${SERVICE_KEY}`],
      ['Authorization', `Authorization: Bearer ${SERVICE_KEY}`],
    ])('is the answer to %s sent twice, though both are right', async (_name, header) => {
      const answer = await sendRaw(service.port, requestHead(`GET ${PATH}`, header, header));
      expectProblem(answer, 401, 'service_key_invalid');
      expect(answer.headers.get('www-authenticate')).toBe(INVALID_TOKEN);
    });

    it.each(OPERATIONS.filter(({ caller }) => caller === 'service'))(
      'is the answer of $method $path to the holder of an API key',
      async (route) => {
        const { key } = await service.issueKey(newOrganization());
        const headers = { Authorization: `Bearer ${key}` };
        const body = route.method === 'POST' ? {} : undefined;
        expectProblem(
          await service.request(route.method, route.example, { body, headers }),
          401,
          'service_key_invalid',
        );
      },
    );

    it('is the answer to the previous key where none is configured', async () => {
      const plain = await startService();
      try {
        const answer = await plain.request('GET', PATH, { headers: { 'X-Service-Key': PREVIOUS_KEY } });
        expectProblem(answer, 401, 'service_key_invalid');
      } finally {
        await plain.stop();
      }
    });
  });

  describe('401', () => {
    it.each<[what: string, body: unknown]>([
      ['a body with everything wrong', { bogus: true }],
      ['a body that is not JSON', '{'],
      ['a body that is too large', 'x'.repeat(70_000)],
      ['no body', undefined],
    ])('comes before a word about %s', async (_what, body) => {
      expectProblem(await service.request('POST', '/internal/api-keys', { body }), 401, 'service_key_missing');
    });

    it('comes before a word about the query or the path', async () => {
      expectProblem(await service.request('GET', '/internal/api-keys?limit=x'), 401, 'service_key_missing');
      expectProblem(await service.request('DELETE', '/internal/keys/NOT-A-PROVIDER'), 401, 'service_key_missing');
    });
  });
});
