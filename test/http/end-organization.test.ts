import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { issueMany, multiplySecrets, untilDestroyed } from '../support/large-organization.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted } from '../support/webhooks.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const end = (org: string) => service.asService('DELETE', `/internal/organizations/${org}`);
const secretsOf = (org: string) =>
  service.sql(
    `select v.sealed from key_service.provider_key_versions v join key_service.provider_keys k on k.id = v.provider_key_id
     join key_service.organizations o on o.id = k.organization_id where o.clerk_org_id = $1`,
    [org],
  );
const dataKeysOf = (org: string) =>
  service.sql<{ id: string }>(
    `select d.id from key_service.data_keys d join key_service.organizations o on o.id = d.organization_id
     where o.clerk_org_id = $1`,
    [org],
  );
describe('DELETE /internal/organizations/:clerkOrgId', () => {
  describe('200', () => {
    it('revokes every API key, destroys every secret and the data key, and says what that was', async () => {
      const org = newOrganization();
      const keys = [await service.issueKey(org), await service.issueKey(org)];
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      await service.saveProviderKey(org, 'anthropic', 'sk-ant-not-a-real-key');
      const dataKeys = await dataKeysOf(org);
      expect(dataKeys).toHaveLength(1);

      const { status, body } = await end(org);
      expect({ status, body }).toEqual({
        status: 200,
        body: {
          clerkOrgId: org,
          endedAt: expect.stringMatching(/Z$/),
          destroyedAt: expect.stringMatching(/Z$/),
          destroyed: { apiKeys: 2, providerKeys: 2, secrets: 2, dataKeys: dataKeys.map(({ id }) => id) },
          message: 'The organisation has ended, and its secrets are destroyed.',
        },
      });
      for (const { key } of keys) expectProblem(await service.asHolder(key, '/validate'), 401, 'api_key_revoked');
      expect(await secretsOf(org)).toEqual([]);
      expect(await dataKeysOf(org)).toEqual([]);
    });

    it('gives the same answer again, and changes nothing', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      const first = await end(org);
      expect((await end(org)).body).toEqual(first.body);
    });

    it('destroys tens of thousands of secrets, and no answer takes longer for it', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      await multiplySecrets(service, org, { providers: 3_000, versions: 10 });

      const { status, body } = (await untilDestroyed(service, org)).last;
      expect({ status, destroyed: body.destroyed }).toMatchObject({
        status: 200,
        destroyed: { providerKeys: 3_001, secrets: 30_001 },
      });
      expect(await secretsOf(org)).toEqual([]);
    });

    it('leaves a tombstone where the organisation was not known', async () => {
      const org = newOrganization();
      const { status, body } = await end(org);
      expect(status).toBe(200);
      expect(body.destroyed).toEqual({ apiKeys: 0, providerKeys: 0, secrets: 0, dataKeys: [] });
      const answer = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org });
      expectProblem(answer, 409, 'organization_deleted');
    });

    it('touches no other organisation', async () => {
      const other = newOrganization();
      const { key } = await service.issueKey(other);
      await service.saveProviderKey(other, 'openai', 'sk-not-a-real-key-theirs');
      await end(newOrganization());
      expect((await service.asHolder(key, '/validate/keys/openai')).body.key).toBe('sk-not-a-real-key-theirs');
    });

    it('revokes as many keys as there are, before it says so', async () => {
      const org = newOrganization();
      const { key } = await service.issueKey(org);
      await issueMany(service, org, 12_000);
      const { body } = (await untilDestroyed(service, org)).last;
      expect(body.destroyed.apiKeys).toBe(12_001);
      expectProblem(await service.asHolder(key, '/validate'), 401, 'api_key_revoked');
      const [left] = await service.sql(
        `select o.due_at as due, (select count(*)::int from key_service.api_keys k
           where k.organization_id = o.id and k.revoked_at is null) as good
         from key_service.organizations o where o.clerk_org_id = $1`,
        [org],
      );
      expect(left).toEqual({ good: 0, due: null });
    });
  });

  it('revokes what was left of one that had ended already', async () => {
    const unswept = await startService({ environment: { ORGANIZATION_SWEEP_MS: '3600000' } });
    try {
      const org = newOrganization();
      await unswept.issueKey(org);
      await issueMany(unswept, org, 6_000);
      await organizationDeleted(unswept, org);
      const good = 'select count(*)::int as good from key_service.api_keys where revoked_at is null';
      expect(await unswept.sql(good)).toEqual([{ good: 1_001 }]);
      const { body } = (await untilDestroyed(unswept, org)).last;
      expect(body.destroyed.apiKeys).toBe(6_001);
      expect(await unswept.sql(good)).toEqual([{ good: 0 }]);
    } finally {
      await unswept.stop();
    }
  });

  describe('what is answered of an organisation that has ended', () => {
    it('lists are empty, revoked keys are still shown to who asks, and secrets are 404', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      await end(org);
      expect((await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`)).body.keys).toEqual([]);
      const all = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}&includeRevoked=true`);
      expect(all.body.keys).toMatchObject([{ id, status: 'revoked' }]);
      expect((await service.asService('GET', `/internal/keys?clerkOrgId=${org}`)).body).toEqual({ keys: [] });
      const reveal = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
      expectProblem(reveal, 404, 'provider_key_not_found');
    });

    it('what would be stored for it is 409, and what is gone already may be removed again', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      await end(org);
      const issue = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org });
      expectProblem(issue, 409, 'organization_deleted');
      expectProblem(await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key'), 409, 'organization_deleted');
      expectProblem(await service.saveProviderKey(org, 'groq', 'gsk_notARealKey'), 409, 'organization_deleted');
      expect((await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`)).status).toBe(200);
      const removed = await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
      expect(removed.body).toMatchObject({ deleted: false });
      expect(await dataKeysOf(org)).toEqual([]);
    });

    it('a secret that is kept for the days of grace can neither be listed, brought back, checked nor reported', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-2');
      await organizationDeleted(service, org);
      const versions = await service.asService('GET', `/internal/keys/openai/versions?clerkOrgId=${org}`);
      expect(versions.status).toBe(200);
      expect(versions.body.versions).toEqual([]);
      for (const [what, body] of [
        ['rollback', { version: 1 }],
        ['report', { version: 2, outcome: 'rejected' }],
        ['check', {}],
      ] as const) {
        const answer = await service.asService('POST', `/internal/keys/openai/${what}`, { clerkOrgId: org, ...body });
        expectProblem(answer, 409, 'organization_deleted');
        const never = await service.asService('POST', `/internal/keys/groq/${what}`, { clerkOrgId: org, ...body });
        expectProblem(never, 409, 'organization_deleted');
      }
      const { body } = await service.asService('DELETE', `/internal/organizations/${org}`);
      expect(body.destroyed).toMatchObject({ providerKeys: 1, secrets: 2 });
    });

    it.each([
      [
        'an API key',
        `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment)
         select gen_random_uuid(), id, sha256(id::text::bytea), 'fake', 'fake', 'live'
         from key_service.organizations where clerk_org_id = $1`,
      ],
      [
        'an API key that was revoked',
        `update key_service.api_keys k set revoked_at = null from key_service.organizations o
         where o.id = k.organization_id and o.clerk_org_id = $1`,
      ],
      [
        'a provider key',
        `insert into key_service.provider_keys (id, organization_id, provider)
         select gen_random_uuid(), id, 'groq' from key_service.organizations where clerk_org_id = $1`,
      ],
      [
        'a secret',
        `insert into key_service.provider_key_versions (provider_key_id, version, data_key_id, sealed)
         select k.id, 7, d.id, '' from key_service.provider_keys k
         join key_service.organizations o on o.id = k.organization_id,
         (select id from key_service.data_keys limit 1) d where o.clerk_org_id = $1`,
      ],
      [
        'a data key',
        `insert into key_service.data_keys (id, purpose, organization_id, master_key_id, wrapped)
         select gen_random_uuid(), 'organization', id, 'fake', '' from key_service.organizations where clerk_org_id = $1`,
      ],
    ])('the database itself refuses %s for it', async (_what, statement) => {
      const org = newOrganization();
      await service.issueKey(org);
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      await end(org);
      await expect(service.sql(statement, [org])).rejects.toMatchObject({ code: 'KS001' });
    });
  });

  describe('400', () => {
    it.each(['%20', 'org%00a', 'org%20a', 'x'.repeat(256)])('refuses %s', async (org) => {
      expectInvalid(await end(org), '/clerkOrgId');
    });
  });
});
