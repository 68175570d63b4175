import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** An API key with these scopes, of an organisation that has a key for openai. */
async function holderWith(scopes: string[] | null) {
  const org = newOrganization();
  await service.saveProviderKey(org, 'openai', SECRET);
  return { org, ...(await service.issueKey(org, { scopes })) };
}

describe('GET /validate/keys/:provider', () => {
  it.each<[what: string, scopes: string[] | null]>([
    ['unrestricted, as existing callers issue them', null],
    ['scoped to it', ['provider-keys:reveal']],
    ['scoped to it among others', ['read:orders', 'provider-keys:reveal']],
    ['scoped to all of its resource', ['provider-keys:*']],
  ])('200: reveals to an API key that is %s', async (_what, scopes) => {
    const { key } = await holderWith(scopes);
    for (let n = 0; n < 2; n += 1) {
      const { status, body } = await service.asHolder(key, '/validate/keys/openai');
      expect({ status, key: body.key }).toEqual({ status: 200, key: SECRET });
    }
  });

  it.each<[what: string, scopes: string[]]>([
    ['no scope at all', []],
    ['other scopes', ['read:orders', 'provider-keys:read']],
    ['a scope that only starts alike', ['provider-keys:reveal-masked', 'provider-keys:reveal:openai']],
    ['a wildcard of another resource', ['provider:*', 'reveal:*']],
    ['what no wildcard is', ['provider-keys*', 'provider-*', 'provider-keys:r*']],
  ])('403: reveals nothing to an API key with %s, from the database or from memory', async (_what, scopes) => {
    const { key } = await holderWith(scopes);
    expect((await service.asHolder(key, '/validate')).status).toBe(200);
    for (let n = 0; n < 2; n += 1) {
      const answer = await service.asHolder(key, '/validate/keys/openai');
      expectProblem(answer, 403, 'insufficient_scope');
      expect(answer.body.detail).toContain('provider-keys:reveal');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="key-service", error="insufficient_scope"');
      expect(answer.text).not.toContain(SECRET);
    }
  });

  it('403: comes before a word about the provider, and says nothing of whether there is a key', async () => {
    const { key } = await holderWith([]);
    for (const provider of ['openai', 'anthropic', 'NOT-A-PROVIDER']) {
      expectProblem(await service.asHolder(key, `/validate/keys/${provider}`), 403, 'insufficient_scope');
    }
  });

  it('403: names the API key in the log, and counts as no use of the provider key', async () => {
    const { org, id, key } = await holderWith([]);
    await service.request('GET', '/validate/keys/openai', {
      headers: { Authorization: `Bearer ${key}`, 'X-Request-Id': 'which-holder' },
    });
    const line = () => service.logLines.find(({ requestId }) => requestId === 'which-holder');
    await expect.poll(line).toMatchObject({ caller: `api-key:${id}`, status: 403 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
    expect(body.keys).toEqual([expect.objectContaining({ lastUsedAt: null })]);
  });

  it('401: a key that is not good is told that, not what it lacks', async () => {
    const { org, id, key } = await holderWith([]);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expectProblem(await service.asHolder(key, '/validate/keys/openai'), 401, 'api_key_revoked');
  });
});
