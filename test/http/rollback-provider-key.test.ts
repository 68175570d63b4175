import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { providerKeyHistory, range } from '../support/provider-key-history.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const secretOf = (version: number) => `sk-not-a-real-secret-number-${version}`;

/** A key that has had so many values, each named after its version. */
async function keyWith(versions: number, org = newOrganization()) {
  const key = providerKeyHistory(service, org);
  for (const version of range(1, versions)) await key.save(secretOf(version));
  return key;
}

describe('POST /internal/keys/:provider/rollback', () => {
  describe('200', () => {
    it('makes the secret of an earlier version the current one again, as the next version', async () => {
      const key = await keyWith(3);
      const { status, body } = await key.rollback(1);
      expect({ status, body }).toEqual({
        status: 200,
        body: {
          provider: 'openai',
          maskedKey: 'sk-n••••er-1',
          version: 4,
          status: 'unchecked',
          message: expect.stringMatching(/\S/),
        },
      });
      expect((await key.reveal()).body).toMatchObject({ key: secretOf(1), version: 4 });
      const listed = (await key.versions()).body.versions;
      expect(listed.map(({ version, current }: Record<string, unknown>) => [version, current])).toEqual([
        [4, true],
        [3, false],
        [2, false],
        [1, false],
      ]);
    });

    it('seals it anew: what the earlier version holds does not open as the later one', async () => {
      const org = newOrganization();
      const key = await keyWith(2, org);
      await key.rollback(1);
      const [first, , third] = await key.sealed();
      expect(third?.sealed.equals(first?.sealed ?? Buffer.alloc(0))).toBe(false);
      await service.sql(
        `update key_service.provider_key_versions set sealed = $2 where version = 3 and provider_key_id in
         (select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
          where o.clerk_org_id = $1)`,
        [org, first?.sealed],
      );
      expectProblem(await key.reveal(), 500, 'provider_key_unreadable');
    });

    it('writes nothing when that version is the current one', async () => {
      const key = await keyWith(2);
      const before = await key.sealed();
      const { status, body } = await key.rollback(2);
      expect({ status, version: body.version, maskedKey: body.maskedKey }).toEqual({
        status: 200,
        version: 2,
        maskedKey: 'sk-n••••er-2',
      });
      expect(await key.sealed()).toEqual(before);
    });

    it('writes nothing when it is repeated, for the current secret is that of the version already', async () => {
      const key = await keyWith(2);
      await key.rollback(1);
      const before = await key.sealed();
      const again = await key.rollback(1);
      expect({ status: again.status, version: again.body.version }).toEqual({ status: 200, version: 3 });
      expect(await key.sealed()).toEqual(before);
    });

    it('goes back and forth between two versions, and counts on', async () => {
      const key = await keyWith(2);
      for (const [wanted, version] of [
        [1, 3],
        [2, 4],
        [1, 5],
        [4, 6],
      ] as const) {
        expect((await key.rollback(wanted)).body.version).toBe(version);
      }
      expect((await key.reveal()).body).toMatchObject({ key: secretOf(2), version: 6 });
    });

    it('brings back the oldest of ten, and destroys that one in its old place', async () => {
      const key = await keyWith(10);
      expect((await key.rollback(1)).body.version).toBe(11);
      expect((await key.sealed()).map(({ version }) => version)).toEqual(range(2, 11));
      expect((await key.reveal()).body.key).toBe(secretOf(1));
    });

    it('mends a current version that does not open', async () => {
      const org = newOrganization();
      const key = await keyWith(2, org);
      await service.sql(
        `update key_service.provider_key_versions set sealed = ''::bytea where version = 2 and provider_key_id in
         (select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
          where o.clerk_org_id = $1)`,
        [org],
      );
      expect((await key.rollback(1)).body.version).toBe(3);
      expect((await key.reveal()).body).toMatchObject({ key: secretOf(1), version: 3 });
    });

    it("is handed to the organisation's own API keys as soon as it was answered", async () => {
      const org = newOrganization();
      const { key: apiKey } = await service.issueKey(org);
      const key = await keyWith(2, org);
      expect((await service.asHolder(apiKey, '/validate/keys/openai')).body.version).toBe(2);
      await key.rollback(1);
      const { body } = await service.asHolder(apiKey, '/validate/keys/openai');
      expect(body).toMatchObject({ key: secretOf(1), version: 3 });
    });

    it("touches neither another provider nor another organisation's key", async () => {
      const org = newOrganization();
      const [key, other] = [await keyWith(2, org), await keyWith(2)];
      await service.saveProviderKey(org, 'anthropic', 'not-a-real-secret');
      await key.rollback(1);
      expect((await other.reveal()).body).toMatchObject({ key: secretOf(2), version: 2 });
      expect((await providerKeyHistory(service, org, 'anthropic').reveal()).body.version).toBe(1);
    });
  });

  describe('400', () => {
    const valid = { clerkOrgId: 'org_a', version: 1 };
    it.each<[what: string, pointer: string, change: Record<string, unknown>]>([
      ['no clerkOrgId', '/clerkOrgId', { clerkOrgId: undefined }],
      ['no version', '/version', { version: undefined }],
      ['version 0', '/version', { version: 0 }],
      ['a negative version', '/version', { version: -1 }],
      ['half a version', '/version', { version: 1.5 }],
      ['a version as text', '/version', { version: '1' }],
      ['a version beyond all numbers of the database', '/version', { version: 2_147_483_648 }],
      ['a version beyond all whole numbers', '/version', { version: 1e300 }],
      ['an unknown field', '/to', { to: 1 }],
    ])('refuses %s', async (_what, pointer, change) => {
      expectInvalid(
        await service.asService('POST', '/internal/keys/openai/rollback', { ...valid, ...change }),
        pointer,
      );
    });

    it('refuses a provider in upper case', async () => {
      expectInvalid(await service.asService('POST', '/internal/keys/OpenAI/rollback', valid), '/provider');
    });
  });

  describe('404', () => {
    it('is provider_key_not_found for an organisation or a provider that is not known, and makes neither known', async () => {
      const org = newOrganization();
      const answer = await providerKeyHistory(service, org).rollback(1);
      expectProblem(answer, 404, 'provider_key_not_found');
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
      await service.saveProviderKey(org, 'anthropic', 'not-a-real-secret');
      expectProblem(await providerKeyHistory(service, org).rollback(1), 404, 'provider_key_not_found');
    });

    it('is provider_key_not_found for a deleted key: no version of it comes back', async () => {
      const key = await keyWith(2);
      await key.remove();
      expectProblem(await key.rollback(1), 404, 'provider_key_not_found');
      expect(await key.sealed()).toEqual([]);
    });

    it('is provider_key_version_not_found for a version that was destroyed, or is yet to come', async () => {
      const key = await keyWith(11);
      for (const version of [1, 12, 2_147_483_647]) {
        expectProblem(await key.rollback(version), 404, 'provider_key_version_not_found');
      }
      const again = await keyWith(2);
      await again.remove();
      await again.save(secretOf(3));
      expectProblem(await again.rollback(2), 404, 'provider_key_version_not_found');
    });
  });

  describe('500', () => {
    it('is provider_key_unreadable for a version that does not open, and the current one stays', async () => {
      const org = newOrganization();
      const key = await keyWith(2, org);
      await service.sql(
        `update key_service.provider_key_versions set sealed = ''::bytea where version = 1 and provider_key_id in
         (select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
          where o.clerk_org_id = $1)`,
        [org],
      );
      expectProblem(await key.rollback(1), 500, 'provider_key_unreadable');
      expect((await key.reveal()).body).toMatchObject({ key: secretOf(2), version: 2 });
    });
  });
});
