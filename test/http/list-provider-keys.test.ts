import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const list = (org: string) => service.asService('GET', `/internal/keys?clerkOrgId=${org}`);

describe('GET /internal/keys', () => {
  describe('200', () => {
    it('lists the keys masked, in the shape that callers depend on', async () => {
      const org = newOrganization();
      const before = Date.now();
      await service.saveProviderKey(org, 'openai', 'sk-a-not-a-real-secret-3f9Q');
      const { status, body } = await list(org);
      expect(status).toBe(200);
      expect(body).toEqual({
        keys: [
          {
            provider: 'openai',
            maskedKey: 'sk-a••••3f9Q',
            version: 1,
            status: 'unchecked',
            createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
            updatedAt: body.keys[0].createdAt,
            lastUsedAt: null,
            lastCheckedAt: null,
          },
        ],
      });
      const age = new Date(body.keys[0].createdAt).getTime() - before;
      expect(Math.abs(age)).toBeLessThan(60_000);
    });

    it('sorts them by code point', async () => {
      const org = newOrganization();
      for (const provider of ['b', 'a0', 'a-b', '0z', 'a']) await service.saveProviderKey(org, provider, 'not-real');
      const { body } = await list(org);
      expect(body.keys.map(({ provider }: { provider: string }) => provider)).toEqual(['0z', 'a', 'a-b', 'a0', 'b']);
    });

    it("shows no other organisation's", async () => {
      const [org, other] = [newOrganization(), newOrganization()];
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await service.saveProviderKey(other, 'anthropic', 'not-a-real-one');
      const { body } = await list(org);
      expect(body.keys.map(({ provider }: { provider: string }) => provider)).toEqual(['openai']);
    });

    it('follows a replacement: a new mask, version and updatedAt, and the same createdAt', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'sk-a-not-a-real-secret-3f9Q');
      const [first] = (await list(org)).body.keys;
      await service.saveProviderKey(org, 'openai', 'sk-b-not-a-real-secret-7x2W');
      const [second] = (await list(org)).body.keys;
      expect(second).toMatchObject({ maskedKey: 'sk-b••••7x2W', version: 2, createdAt: first.createdAt });
      expect(new Date(second.updatedAt).getTime()).toBeGreaterThan(new Date(first.updatedAt).getTime());
    });

    it('leaves out what was deleted', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
      expect((await list(org)).body).toEqual({ keys: [] });
    });

    it('shows when a key was last revealed, and is no reveal itself', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'not-a-real-one');
      await service.saveProviderKey(org, 'unused', 'not-a-real-one');
      await list(org);
      const before = Date.now();
      await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
      const [used, unused] = await vi.waitFor(async () => {
        const { keys } = (await list(org)).body;
        expect(keys[0].lastUsedAt).not.toBeNull();
        return keys;
      }, 3_000);
      expect(new Date(used.lastUsedAt).getTime()).toBeGreaterThanOrEqual(before);
      expect(unused.lastUsedAt).toBeNull();
    });

    it('is empty for an organisation that is not known here, and makes it no more known', async () => {
      const org = newOrganization();
      const { status, body } = await list(org);
      expect({ status, body }).toEqual({ status: 200, body: { keys: [] } });
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    });

    it('holds no secret in any part of the answer', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'sk-a-not-a-real-secret-3f9Q');
      await service.saveProviderKey(org, 'short', 'short-secret');
      const { text } = await list(org);
      expect(text).not.toContain('not-a-real-secret');
      expect(text).not.toContain('short-secret');
    });
  });

  describe('400', () => {
    it.each([
      ['missing', ''],
      ['empty', '?clerkOrgId='],
      ['sent twice', '?clerkOrgId=org_a&clerkOrgId=org_a'],
      ['longer than 255 characters', `?clerkOrgId=${'o'.repeat(256)}`],
      ['broken by white space', '?clerkOrgId=org%20a'],
      ['broken by a control character', '?clerkOrgId=org%0aa'],
      ['with a NUL character', '?clerkOrgId=org%00'],
    ])('refuses a clerkOrgId that is %s', async (_what, query) => {
      expectInvalid(await service.asService('GET', `/internal/keys${query}`), '/clerkOrgId');
    });
  });
});
