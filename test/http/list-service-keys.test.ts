import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());
beforeEach(() => service.sql('truncate key_service.service_keys cascade'));

async function list(query = '') {
  const { status, body } = await service.asService('GET', `/internal/service-keys${query}`);
  expect(status).toBe(200);
  return body as { keys: { id: string; name: string; status: string }[]; nextCursor: string | null };
}
const namesOf = ({ keys }: Awaited<ReturnType<typeof list>>) => keys.map(({ name }) => name);

describe('GET /internal/service-keys', () => {
  describe('200', () => {
    it('is empty where there are none: the root key is not among them', async () => {
      expect(await list()).toEqual({ keys: [], nextCursor: null });
    });

    it('shows everything about a key but the key and its hash', async () => {
      const { id, key } = await newServiceCaller(service, {
        name: 'billing',
        permissions: ['provider-keys:reveal'],
        revealProviders: ['openai'],
      });
      const answer = await service.asService('GET', '/internal/service-keys');
      expect(answer.body.keys).toEqual([
        {
          id,
          name: 'billing',
          keyPrefix: key.slice(0, 15),
          last4: key.slice(-4),
          status: 'active',
          permissions: ['provider-keys:reveal'],
          revealProviders: ['openai'],
          expiresAt: null,
          createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          lastUsedAt: null,
          revokedAt: null,
        },
      ]);
      expect(answer.text).not.toContain(key.slice(15, -4));
    });

    it('lists the newest first, two of one name too', async () => {
      const ids: string[] = [];
      for (const name of ['first', 'second', 'second']) ids.push((await newServiceCaller(service, { name })).id);
      expect((await list()).keys.map(({ id }) => id)).toEqual(ids.toReversed());
    });

    it('says that a key is expired', async () => {
      const { id } = await newServiceCaller(service);
      await service.sql("update key_service.service_keys set expires_at = now() - interval '1 second' where id = $1", [
        id,
      ]);
      expect((await list()).keys).toEqual([expect.objectContaining({ id, status: 'expired' })]);
    });

    it.each([
      ['', ['kept']],
      ['?includeRevoked=false', ['kept']],
      ['?includeRevoked=true', ['revoked', 'kept']],
    ])('leaves revoked keys out unless asked for: %s', async (query, names) => {
      await newServiceCaller(service, { name: 'kept' });
      const { id } = await newServiceCaller(service, { name: 'revoked' });
      await service.asService('DELETE', `/internal/service-keys/${id}`);
      expect(namesOf(await list(query))).toEqual(names);
    });

    it('says since when a key is revoked, though it is expired too', async () => {
      const { id } = await newServiceCaller(service);
      await service.sql("update key_service.service_keys set expires_at = now() - interval '1 second' where id = $1", [
        id,
      ]);
      await service.asService('DELETE', `/internal/service-keys/${id}`);
      expect((await list('?includeRevoked=true')).keys).toEqual([
        expect.objectContaining({ status: 'revoked', revokedAt: expect.stringMatching(/Z$/) }),
      ]);
    });

    it('shows when a key was last used, a moment later', async () => {
      const before = Date.now();
      const { as } = await newServiceCaller(service, { permissions: ['api-keys:read'] });
      await as('GET', `/internal/api-keys?clerkOrgId=${newOrganization()}`);
      const lastUsedAt = async () =>
        ((await list()).keys[0] as { lastUsedAt?: string | null } | undefined)?.lastUsedAt ?? null;
      await expect.poll(lastUsedAt).toMatch(/Z$/);
      expect(new Date((await lastUsedAt()) ?? 0).getTime()).toBeGreaterThanOrEqual(before);
    });

    it('comes in pages that together are the whole list', async () => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      for (const name of names) await newServiceCaller(service, { name });
      const seen: string[] = [];
      let query = '?limit=2';
      for (let page = await list(query); ; page = await list(query)) {
        seen.push(...namesOf(page));
        if (page.nextCursor === null) break;
        query = `?limit=2&cursor=${page.nextCursor}`;
      }
      expect(seen).toEqual(names.toReversed());
    });
  });

  describe('400', () => {
    it.each([
      ['limit=0', '/limit'],
      ['limit=101', '/limit'],
      ['cursor=not-a-cursor', '/cursor'],
      ['includeRevoked=yes', '/includeRevoked'],
      ['includeRevoked=true&includeRevoked=true', '/includeRevoked'],
    ])('refuses %s', async (query, pointer) => {
      expectInvalid(await service.asService('GET', `/internal/service-keys?${query}`), pointer);
    });
  });
});
