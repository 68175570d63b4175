import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** An organisation with a key for openai, and an API key of its own. */
async function holderOf(secret: string) {
  const org = newOrganization();
  const { key, id } = await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', secret);
  return { org, key, id };
}

describe('GET /validate/keys/:provider', () => {
  describe('200', () => {
    it("hands the organisation's own key to the holder of one of its API keys", async () => {
      const { key } = await holderOf(SECRET);
      const { status, body } = await service.asHolder(key, '/validate/keys/openai');
      expect(status).toBe(200);
      expect(body).toEqual({ provider: 'openai', key: SECRET, version: 1, source: 'own' });
    });

    it('hands out the newest value as soon as its saving was answered', async () => {
      const { org, key } = await holderOf(SECRET);
      await service.saveProviderKey(org, 'openai', 'sk-the-second-not-real-secret');
      const { body } = await service.asHolder(key, '/validate/keys/openai');
      expect(body).toMatchObject({ key: 'sk-the-second-not-real-secret', version: 2 });
    });

    it('gives every character back, of any alphabet', async () => {
      const secret = 'ключ-鍵-🔑-"\\</script>-not-a-real-one';
      const { key } = await holderOf(secret);
      expect((await service.asHolder(key, '/validate/keys/openai')).body.key).toBe(secret);
    });

    it('counts as a use of both keys', async () => {
      const { org, key, id } = await holderOf(SECRET);
      await service.asHolder(key, '/validate/keys/openai');
      await vi.waitFor(async () => {
        const [apiKeys, providerKeys] = [
          await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`),
          await service.asService('GET', `/internal/keys?clerkOrgId=${org}`),
        ];
        expect(apiKeys.body.lastUsedAt).toMatch(/Z$/);
        expect(providerKeys.body.keys[0].lastUsedAt).toMatch(/Z$/);
      }, 3_000);
    });
  });

  describe('400', () => {
    it.each(['OpenAI', '-openai', 'open_ai', 'a'.repeat(64), 'a%2Fb', '%00', '..%2f..', '%F0%9F%94%91'])(
      'refuses %s, which is no provider',
      async (provider) => {
        const { key } = await service.issueKey(newOrganization());
        expectInvalid(await service.asHolder(key, `/validate/keys/${provider}`), '/provider');
      },
    );
  });

  describe('401', () => {
    it.each<[code: string, headers: Record<string, string>]>([
      ['api_key_missing', {}],
      ['api_key_missing', { 'X-Service-Key': SERVICE_KEY }],
      ['api_key_missing', { 'X-API-Key': SERVICE_KEY }],
      ['api_key_invalid', { Authorization: `Bearer ${SERVICE_KEY}` }],
      ['api_key_invalid', { Authorization: `Bearer ks_live_${'A'.repeat(49)}` }],
    ])('answers %s when the headers are %o', async (code, headers) => {
      expectProblem(await service.request('GET', '/validate/keys/openai', { headers }), 401, code);
    });

    it.each([
      ['api_key_revoked', 'revoked_at = now()'],
      ['api_key_disabled', 'enabled = false'],
      ['api_key_expired', `expires_at = now() - interval '1 second'`],
    ])('answers %s and reveals nothing', async (code, change) => {
      const { key, id } = await holderOf(SECRET);
      await service.sql(`update key_service.api_keys set ${change} where id = $1`, [id]);
      const answer = await service.asHolder(key, '/validate/keys/openai');
      expectProblem(answer, 401, code);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="key-service", error="invalid_token"');
      expect(answer.text).not.toContain(SECRET);
    });

    it('comes before anything is said about the provider', async () => {
      expectProblem(await service.request('GET', '/validate/keys/NOT-A-PROVIDER'), 401, 'api_key_missing');
    });
  });

  describe('404', () => {
    it('is answered when none is stored', async () => {
      const { key } = await holderOf(SECRET);
      expectProblem(await service.asHolder(key, '/validate/keys/anthropic'), 404, 'provider_key_not_found');
    });

    it("is answered when only another organisation has one, and never that one's", async () => {
      await holderOf(SECRET);
      const { key } = await service.issueKey(newOrganization());
      expectProblem(await service.asHolder(key, '/validate/keys/openai'), 404, 'provider_key_not_found');
    });

    it('is answered whatever organisation the query claims to be', async () => {
      const other = await holderOf(SECRET);
      const { key } = await service.issueKey(newOrganization());
      const answer = await service.asHolder(key, `/validate/keys/openai?clerkOrgId=${other.org}`);
      expectProblem(answer, 404, 'provider_key_not_found');
    });

    it('is answered as soon as its deletion was', async () => {
      const { org, key } = await holderOf(SECRET);
      await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
      expectProblem(await service.asHolder(key, '/validate/keys/openai'), 404, 'provider_key_not_found');
    });
  });

  describe('405', () => {
    it('is the answer to HEAD, which would reveal a secret to nobody and be recorded as a reveal', async () => {
      const { org, key } = await holderOf(SECRET);
      const headers = { Authorization: `Bearer ${key}` };
      const answer = await service.request('HEAD', '/validate/keys/openai', { headers });
      expect({ status: answer.status, allow: answer.headers.get('allow') }).toEqual({ status: 405, allow: 'GET' });
      const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
      expect(body.keys[0].lastUsedAt).toBeNull();
    });
  });
});
