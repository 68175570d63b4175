import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

interface Item {
  id: string;
  name: string | null;
  status: string;
}

async function list(org: string, query: Record<string, string> = {}) {
  const { status, body } = await service.asService(
    'GET',
    `/internal/api-keys?${new URLSearchParams({ clerkOrgId: org, ...query })}`,
  );
  expect(status).toBe(200);
  return body as { keys: Item[]; nextCursor: string | null };
}

/** Follows the cursor to the end. */
async function listAll(org: string, query: Record<string, string> = {}): Promise<Item[][]> {
  const pages: Item[][] = [];
  let cursor: string | null = null;
  do {
    const page: { keys: Item[]; nextCursor: string | null } = await list(org, { ...query, ...(cursor && { cursor }) });
    pages.push(page.keys);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return pages;
}

const namesOf = (keys: Item[]) => keys.map(({ name }) => name);
async function issueNamed(org: string, ...names: string[]) {
  const issued = [];
  for (const name of names) issued.push(await service.issueKey(org, { name }));
  return issued;
}

describe('GET /internal/api-keys 200', () => {
  it('lists the keys in the shape that callers depend on, and never the key or its hash', async () => {
    const org = newOrganization();
    const { key, id } = await service.issueKey(org, {
      name: 'CI',
      scopes: ['read:orders'],
      metadata: { team: 'blue' },
    });
    const answer = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      keys: [
        {
          id,
          keyPrefix: key.slice(0, 12),
          last4: key.slice(-4),
          name: 'CI',
          status: 'active',
          enabled: true,
          environment: 'live',
          scopes: ['read:orders'],
          metadata: { team: 'blue' },
          ipAllowList: null,
          expiresAt: null,
          rateLimit: null,
          createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          lastUsedAt: null,
          revokedAt: null,
          recoverable: false,
          rotatedFrom: null,
          rotatedTo: null,
          remainingUses: null,
          refill: null,
        },
      ],
      nextCursor: null,
    });
    expect(answer.text).not.toContain(key.slice(12, -4));
    expect(answer.headers.get('etag')).toBeNull();
  });

  it('lists the newest first', async () => {
    const org = newOrganization();
    await issueNamed(org, 'first', 'second', 'third');
    expect(namesOf((await list(org)).keys)).toEqual(['third', 'second', 'first']);
  });

  it("lists no other organisation's keys", async () => {
    const [org, other] = [newOrganization(), newOrganization()];
    await issueNamed(org, 'ours');
    await issueNamed(other, 'theirs');
    expect(namesOf((await list(org)).keys)).toEqual(['ours']);
  });

  it('is empty for an organisation that is not known here, and makes it no more known', async () => {
    const org = newOrganization();
    expect(await list(org)).toEqual({ keys: [], nextCursor: null });
    expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
  });

  it.each([
    ['expired', `expires_at = now() - interval '1 second'`],
    ['disabled', 'enabled = false'],
  ])('lists a key that is %s, and says so', async (status, change) => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    await service.sql(`update key_service.api_keys set ${change} where id = $1`, [id]);
    expect((await list(org)).keys).toEqual([expect.objectContaining({ id, status })]);
  });

  describe('includeRevoked', () => {
    it.each([
      ['is left out', {}, ['kept']],
      ['is false', { includeRevoked: 'false' }, ['kept']],
      ['is true', { includeRevoked: 'true' }, ['revoked', 'kept']],
    ])('decides whether revoked keys are listed: it %s', async (_what, query, names) => {
      const org = newOrganization();
      const [, revoked] = await issueNamed(org, 'kept', 'revoked');
      await service.asService('DELETE', `/internal/api-keys/${revoked?.id}?clerkOrgId=${org}`);
      expect(namesOf((await list(org, query)).keys)).toEqual(names);
    });

    it('shows since when a key is revoked', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      const { keys } = await list(org, { includeRevoked: 'true' });
      expect(keys).toEqual([
        expect.objectContaining({ id, status: 'revoked', revokedAt: expect.stringMatching(/Z$/) }),
      ]);
    });
  });

  describe('paging', () => {
    it('ends when there is nothing more, also when the last page is full', async () => {
      const org = newOrganization();
      await issueNamed(org, 'a', 'b', 'c', 'd');
      expect((await listAll(org, { limit: '3' })).map(namesOf)).toEqual([['d', 'c', 'b'], ['a']]);
      expect((await listAll(org, { limit: '2' })).map(namesOf)).toEqual([
        ['d', 'c'],
        ['b', 'a'],
      ]);
      expect((await list(org, { limit: '4' })).nextCursor).toBeNull();
    });

    it('neither repeats nor skips a key when others are issued or revoked between two pages', async () => {
      const org = newOrganization();
      const issued = await issueNamed(org, 'a', 'b', 'c', 'd', 'e');
      const first = await list(org, { limit: '2' });
      await issueNamed(org, 'f', 'g');
      // The last key of the first page, which the cursor points at.
      await service.asService('DELETE', `/internal/api-keys/${issued[3]?.id}?clerkOrgId=${org}`);
      const second = await list(org, { limit: '2', cursor: String(first.nextCursor) });
      expect([namesOf(first.keys), namesOf(second.keys)]).toEqual([
        ['e', 'd'],
        ['c', 'b'],
      ]);
    });

    it("shows no other organisation's keys to one who brings that one's cursor", async () => {
      const [org, other] = [newOrganization(), newOrganization()];
      await issueNamed(org, 'ours');
      await issueNamed(other, 'theirs-1', 'theirs-2');
      const { nextCursor } = await list(other, { limit: '1' });
      expect(namesOf((await list(org, { cursor: String(nextCursor) })).keys)).toEqual(['ours']);
    });

    it('gives a caller that knows no limit the newest 1,000, and the rest by the cursor', async () => {
      const org = newOrganization();
      await service.issueKey(org, { name: 'newest' });
      // All at one instant, so that the order hangs on the id.
      await service.sql(
        `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment, created_at)
         select gen_random_uuid(), id, sha256(convert_to(n::text, 'UTF8')), 'ks_live_', '0000', 'live', '2026-01-01'
         from key_service.organizations, generate_series(1, 1000) n where clerk_org_id = $1`,
        [org],
      );
      const pages = await listAll(org);
      expect(pages.map((page) => page.length)).toEqual([1_000, 1]);
      expect(pages[0]?.[0]?.name).toBe('newest');
      const ids = pages.flat().map(({ id }) => id);
      expect(new Set(ids).size).toBe(1_001);
      const inHundreds = await listAll(org, { limit: '100' });
      expect(inHundreds.flat().map(({ id }) => id)).toEqual(ids);
      expect(inHundreds).toHaveLength(11);
    });
  });
});
