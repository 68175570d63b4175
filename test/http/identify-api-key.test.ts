import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const identify = (key: unknown) => service.asService('POST', '/internal/api-keys/identify', { key });

describe('POST /internal/api-keys/identify', () => {
  describe('200', () => {
    it('answers the item and its organisation, and nothing more of the key than that shows', async () => {
      const org = newOrganization();
      const { id, key } = await service.issueKey(org, { name: 'CI', scopes: ['read:orders'] });
      const { status, body, text } = await identify(key);
      const { body: list } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
      expect({ status, body }).toEqual({ status: 200, body: { ...list.keys[0], clerkOrgId: org } });
      expect(body.id).toBe(id);
      expect(text).not.toContain(key.slice(12, -4));
    });

    it('takes a key with white space around it, as it is copied', async () => {
      const { id, key } = await service.issueKey(newOrganization());
      expect((await identify(` ${key}\n`)).body.id).toBe(id);
    });

    it.each([
      ['expired', `expires_at = now() - interval '1 second'`],
      ['disabled', 'enabled = false'],
      ['revoked', 'revoked_at = now()'],
    ])('finds a key that is %s, and says so', async (status, change) => {
      const { id, key } = await service.issueKey(newOrganization());
      await service.sql(`update key_service.api_keys set ${change} where id = $1`, [id]);
      expect((await identify(key)).body).toMatchObject({ id, status });
    });

    it('finds a key of an organisation that has ended, revoked', async () => {
      const org = newOrganization();
      const { id, key } = await service.issueKey(org);
      await service.asService('DELETE', `/internal/organizations/${org}`);
      expect((await identify(key)).body).toMatchObject({ id, clerkOrgId: org, status: 'revoked' });
    });

    it('finds a key of another form', async () => {
      const org = newOrganization();
      await service.issueKey(org);
      const key = `legacy ${randomUUID()}`;
      await service.sql(
        `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment)
         select gen_random_uuid(), id, $2, 'legacy-', 'last', 'live' from key_service.organizations where clerk_org_id = $1`,
        [org, createHash('sha256').update(key).digest()],
      );
      expect((await identify(key)).body).toMatchObject({ clerkOrgId: org, keyPrefix: 'legacy-' });
    });

    it('is no use of the key, and leaves no trace of it in the log', async () => {
      const org = newOrganization();
      const { id, key } = await service.issueKey(org);
      await identify(key);
      // A use that comes after it would be written with it.
      const other = await service.issueKey(org);
      await service.asHolder(other.key, '/validate');
      const lastUsed = async (which: string) =>
        (await service.asService('GET', `/internal/api-keys/${which}?clerkOrgId=${org}`)).body.lastUsedAt;
      await expect.poll(() => lastUsed(other.id)).not.toBeNull();
      expect(await lastUsed(id)).toBeNull();
      expect(JSON.stringify(service.logLines)).not.toContain(key.slice(12));
    });
  });

  describe('400', () => {
    it.each([undefined, null, '', ' ', 7, [['ks_live_']], 'k'.repeat(8_193)])('refuses the key %j', async (key) => {
      expectInvalid(await identify(key), '/key');
    });

    it('refuses an organisation beside it', async () => {
      const body = { key: 'ks_live_nobodys', clerkOrgId: 'org_a' };
      expectInvalid(await service.asService('POST', '/internal/api-keys/identify', body), '/clerkOrgId');
    });
  });

  describe('404', () => {
    it('knows no key that was never issued, and never repeats it', async () => {
      const { key } = await service.issueKey(newOrganization());
      const wrongChecksum = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`;
      for (const unknown of [wrongChecksum, `${key}0`, key.toUpperCase(), 'not-a-key']) {
        const answer = await identify(unknown);
        expectProblem(answer, 404, 'api_key_not_found');
        expect(answer.text).not.toContain(unknown);
      }
    });

    it('knows no service key', async () => {
      const { body } = await service.asService('POST', '/internal/service-keys', { name: 'billing' });
      expectProblem(await identify(body.key), 404, 'api_key_not_found');
    });
  });
});
