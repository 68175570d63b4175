import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const remove = (org: string, provider = 'openai') =>
  service.asService('DELETE', `/internal/keys/${provider}?clerkOrgId=${org}`);
const reveal = (org: string, provider = 'openai') =>
  service.asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`);

describe('DELETE /internal/keys/:provider', () => {
  describe('200', () => {
    it('destroys the key and says that there was one', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      const { status, body } = await remove(org);
      expect({ status, body }).toEqual({
        status: 200,
        body: { provider: 'openai', deleted: true, message: expect.stringMatching(/\S/) },
      });
      expectProblem(await reveal(org), 404, 'provider_key_not_found');
    });

    it('leaves no version of it in the database', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await service.saveProviderKey(org, 'openai', 'not-a-real-one-either');
      await service.saveProviderKey(org, 'kept', 'not-a-real-one');
      const sealed = () =>
        service.sql(
          `select provider from key_service.provider_key_versions
           join key_service.provider_keys on provider_keys.id = provider_key_id
           join key_service.organizations on organizations.id = organization_id
           where clerk_org_id = $1 order by provider`,
          [org],
        );
      expect(await sealed()).toEqual([{ provider: 'kept' }, { provider: 'openai' }, { provider: 'openai' }]);
      await remove(org);
      expect(await sealed()).toEqual([{ provider: 'kept' }]);
    });

    it('says that there was none when it was deleted already, was never there, or the organisation is not known', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await remove(org);
      for (const answer of [await remove(org), await remove(org, 'never-there'), await remove(newOrganization())]) {
        expect({ status: answer.status, deleted: answer.body.deleted }).toEqual({ status: 200, deleted: false });
      }
    });

    it('makes no organisation known', async () => {
      const org = newOrganization();
      await remove(org);
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    });

    it("touches neither another provider nor another organisation's key", async () => {
      const [org, other] = [newOrganization(), newOrganization()];
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await service.saveProviderKey(org, 'anthropic', 'not-real-of-anthropic');
      await service.saveProviderKey(other, 'openai', 'not-real-of-others');
      await remove(org);
      expect((await reveal(org, 'anthropic')).body.key).toBe('not-real-of-anthropic');
      expect((await reveal(other)).body.key).toBe('not-real-of-others');
    });

    it('is followed by a save that is new and continues the versions, so that no version ever names two values', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await service.saveProviderKey(org, 'openai', 'not-a-real-second');
      await remove(org);
      const saved = await service.saveProviderKey(org, 'openai', 'not-a-real-second');
      expect({ status: saved.status, version: saved.body.version }).toEqual({ status: 201, version: 3 });
      expect((await reveal(org)).body).toMatchObject({ key: 'not-a-real-second', version: 3 });
    });

    it('starts the story of the next key anew: it was created now and never used', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await service.sql("update key_service.provider_keys set created_at = '2020-01-01'");
      await service.sql(
        "insert into key_service.provider_key_uses select id, '2020-01-02' from key_service.provider_keys on conflict (provider_key_id) do update set last_used_at = excluded.last_used_at",
      );
      const listed = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
      expect(listed.body.keys[0].lastUsedAt).toBe('2020-01-02T00:00:00.000Z');
      await remove(org);
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
      expect(body.keys[0].lastUsedAt).toBeNull();
      expect(new Date(body.keys[0].createdAt).getUTCFullYear()).toBeGreaterThan(2020);
    });
  });

  describe('400', () => {
    it.each([
      ['no clerkOrgId', '/internal/keys/openai', '/clerkOrgId'],
      ['an empty clerkOrgId', '/internal/keys/openai?clerkOrgId=', '/clerkOrgId'],
      ['two clerkOrgIds', '/internal/keys/openai?clerkOrgId=org_a&clerkOrgId=org_b', '/clerkOrgId'],
      ['a provider in upper case', '/internal/keys/OpenAI?clerkOrgId=org_a', '/provider'],
      ['a provider of 64 characters', `/internal/keys/${'a'.repeat(64)}?clerkOrgId=org_a`, '/provider'],
      ['a provider with a NUL character', '/internal/keys/a%00?clerkOrgId=org_a', '/provider'],
    ])('refuses %s', async (_what, path, pointer) => {
      expectInvalid(await service.asService('DELETE', path), pointer);
    });
  });
});
