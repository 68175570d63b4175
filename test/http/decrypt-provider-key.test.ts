import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectInvalid, expectProblem, wholeAnswer } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const reveal = (org: string, provider = 'openai') =>
  service.request('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`, {
    headers: { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': 'one-id' },
  });

describe('GET /internal/keys/:provider/decrypt', () => {
  describe('200', () => {
    it("hands an organisation's key to a service", async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', SECRET);
      const { status, body } = await reveal(org);
      expect({ status, body }).toEqual({
        status: 200,
        body: { provider: 'openai', key: SECRET, version: 1, source: 'own' },
      });
    });

    it('may be kept by nobody on the way', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', SECRET);
      const { headers } = await reveal(org);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('etag')).toBeNull();
    });

    it('leaves no trace of the secret in the log', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', SECRET);
      await reveal(org);
      await expect.poll(() => JSON.stringify(service.logLines)).toContain('/internal/keys/:provider/decrypt');
      expect(JSON.stringify(service.logLines)).not.toContain(SECRET);
    });
  });

  describe('400', () => {
    it.each([
      ['no clerkOrgId', '/internal/keys/openai/decrypt', '/clerkOrgId'],
      ['two clerkOrgIds', '/internal/keys/openai/decrypt?clerkOrgId=org_a&clerkOrgId=org_a', '/clerkOrgId'],
      ['a provider in upper case', '/internal/keys/OpenAI/decrypt?clerkOrgId=org_a', '/provider'],
      ['a provider of 64 characters', `/internal/keys/${'a'.repeat(64)}/decrypt?clerkOrgId=org_a`, '/provider'],
    ])('refuses %s', async (_what, path, pointer) => {
      expectInvalid(await service.asService('GET', path), pointer);
    });
  });

  describe('401', () => {
    it('is all that the holder of an API key gets', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', SECRET);
      const { key } = await service.issueKey(org);
      const answer = await service.asHolder(key, `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
      expectProblem(answer, 401, 'service_key_invalid');
    });
  });

  describe('404', () => {
    it('is one answer for an unknown organisation, an unknown provider, a deleted key and one of another organisation', async () => {
      const [org, other] = [newOrganization(), newOrganization()];
      await service.saveProviderKey(org, 'deleted', SECRET);
      await service.asService('DELETE', `/internal/keys/deleted?clerkOrgId=${org}`);
      await service.saveProviderKey(other, 'openai', SECRET);
      const answers = [
        await reveal(newOrganization()),
        await reveal(org, 'never-there'),
        await reveal(org, 'deleted'),
        await reveal(org),
      ];
      for (const answer of answers) expectProblem(answer, 404, 'provider_key_not_found');
      const [first, ...others] = answers.map(wholeAnswer);
      for (const answer of others) expect(answer).toEqual(first);
    });

    it('makes no organisation known', async () => {
      const org = newOrganization();
      await reveal(org);
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    });
  });

  describe('405', () => {
    it('is the answer to HEAD, with the one method that is allowed', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', SECRET);
      const { status, headers } = await service.asService('HEAD', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
      expect({ status, allow: headers.get('allow') }).toEqual({ status: 405, allow: 'GET' });
    });
  });
});
