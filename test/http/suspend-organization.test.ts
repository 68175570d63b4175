import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

/** For what the other replica learns from the database. */
const SOON = { timeout: 5_000, interval: 5 };

let service: TestService;
let beside: TestService;
beforeAll(async () => {
  service = await startService();
  beside = await startService({ beside: service });
});
afterAll(async () => {
  await beside.stop();
  await service.stop();
});

const suspend = (org: string) => service.asService('POST', `/internal/organizations/${org}/suspend`);
const resume = (org: string) => service.asService('POST', `/internal/organizations/${org}/resume`);
const codeOf = async (on: TestService, key: string, path = '/validate') => {
  const { status, body } = await on.asHolder(key, path);
  return status === 200 ? 'valid' : body.code;
};
const actionsOf = async (clerkOrgId: string) =>
  (await listEvents(service, { clerkOrgId })).events.map(({ action }) => action);

describe('POST /internal/organizations/:clerkOrgId/suspend and /resume', () => {
  describe('200', () => {
    it('refuses every key of the organisation on every replica, though memory has it, and no other', async () => {
      const [org, other] = [newOrganization(), newOrganization()];
      const keys = [(await service.issueKey(org)).key, (await service.issueKey(org)).key];
      const { key: theirs } = await service.issueKey(other);
      for (const on of [service, beside])
        for (const key of [...keys, theirs]) expect(await codeOf(on, key)).toBe('valid');
      for (let round = 0; round < 3; round += 1) {
        const { status, body } = await suspend(org);
        expect({ status, body }).toEqual({
          status: 200,
          body: { clerkOrgId: org, suspendedAt: expect.stringMatching(/Z$/), message: expect.stringMatching(/\S/) },
        });
        for (const key of keys) expectProblem(await service.asHolder(key, '/validate'), 403, 'organization_suspended');
        for (const key of keys) await expect.poll(() => codeOf(beside, key), SOON).toBe('organization_suspended');
        const resumed = await resume(org);
        expect({ status: resumed.status, body: resumed.body }).toEqual({
          status: 200,
          body: { clerkOrgId: org, suspendedAt: null, message: expect.stringMatching(/\S/) },
        });
        for (const key of keys) expect(await codeOf(service, key)).toBe('valid');
        for (const key of keys) await expect.poll(() => codeOf(beside, key), SOON).toBe('valid');
      }
      for (const on of [service, beside]) expect(await codeOf(on, theirs)).toBe('valid');
    });

    it('reveals no provider key to holders of API keys, and goes on doing so to services', async () => {
      const org = newOrganization();
      const { key } = await service.issueKey(org);
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      expect(await codeOf(service, key, '/validate/keys/openai')).toBe('valid');
      await suspend(org);
      expect(await codeOf(service, key, '/validate/keys/openai')).toBe('organization_suspended');
      const revealed = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
      expect(revealed.body.key).toBe('not-a-real-one');
    });

    it('says of a key first what is so of the key itself, and then that its organisation is suspended', async () => {
      const org = newOrganization();
      const changes = {
        api_key_revoked: 'revoked_at = now()',
        api_key_expired: "expires_at = now() - interval '1 second'",
        api_key_disabled: 'enabled = false',
        organization_suspended: "name = 'good'",
      };
      await suspend(org);
      for (const [code, change] of Object.entries(changes)) {
        const { id, key } = await service.issueKey(org);
        await service.sql(`update key_service.api_keys set ${change} where id = $1`, [id]);
        expect(await codeOf(service, key)).toBe(code);
      }
    });

    it('leaves the keys as they are: their items, switches and revocations', async () => {
      const org = newOrganization();
      const { id, key } = await service.issueKey(org);
      const list = async () => (await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`)).body;
      const before = await list();
      await suspend(org);
      expect(await list()).toEqual(before);
      await service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, enabled: false });
      await resume(org);
      expect(await codeOf(service, key)).toBe('api_key_disabled');
    });

    it('holds for keys that are issued later, also of an organisation that was not known', async () => {
      const org = newOrganization();
      await suspend(org);
      const { key } = await service.issueKey(org);
      expect(await codeOf(service, key)).toBe('organization_suspended');
      await resume(org);
      expect(await codeOf(service, key)).toBe('valid');
    });

    it('again says since when, and is on record once', async () => {
      const org = newOrganization();
      const { body } = await suspend(org);
      const answers = await Promise.all([suspend(org), suspend(org), suspend(org)]);
      for (const answer of answers) expect(answer.body).toEqual(body);
      await resume(org);
      expect((await resume(org)).body.suspendedAt).toBeNull();
      expect(await actionsOf(org)).toEqual(['organization.resumed', 'organization.suspended']);
    });

    it('resumes nothing where nothing is known, and makes it no more known', async () => {
      const org = newOrganization();
      expect((await resume(org)).body).toMatchObject({ clerkOrgId: org, suspendedAt: null });
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    });
  });

  it.each(['suspend', 'resume'])('400: %s takes no fields, and no organisation that is none', async (verb) => {
    const path = `/internal/organizations/org_a/${verb}`;
    expectInvalid(await service.asService('POST', path, { reason: 'unpaid' }), '/reason');
    expectInvalid(await service.asService('POST', `/internal/organizations/org%20a/${verb}`), '/clerkOrgId');
  });

  it('409: neither is for an organisation that has ended', async () => {
    const org = newOrganization();
    await service.issueKey(org);
    await service.asService('DELETE', `/internal/organizations/${org}`);
    expectProblem(await suspend(org), 409, 'organization_deleted');
    expectProblem(await resume(org), 409, 'organization_deleted');
  });
});
