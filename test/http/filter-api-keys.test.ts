import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid } from '../support/problem.ts';
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
  environment: string;
}
interface Page {
  keys: Item[];
  nextCursor: string | null;
}

async function list(org: string, query = ''): Promise<Page> {
  const { status, body } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}&${query}`);
  expect(status).toBe(200);
  return body;
}
const namesListed = async (org: string, query = '') => (await list(org, query)).keys.map(({ name }) => name);

/** From what a row says, one of each status; all but `active` say more than their status. */
const ROWS: Record<string, string> = {
  active: `expires_at = now() + interval '1 day'`,
  disabled: `enabled = false, expires_at = now() + interval '1 day'`,
  expired: `enabled = false, expires_at = now() - interval '1 second'`,
  revoked: `enabled = false, expires_at = now() - interval '1 second', revoked_at = now()`,
};
const STATUSES = Object.keys(ROWS);

async function oneOfEach(): Promise<string> {
  const org = newOrganization();
  for (const [name, change] of Object.entries(ROWS)) {
    const { id } = await service.issueKey(org, { name });
    await service.sql(`update key_service.api_keys set ${change} where id = $1`, [id]);
  }
  return org;
}

describe('GET /internal/api-keys with filters 200', () => {
  describe('status', () => {
    it.each(STATUSES)('lists the keys that are %s, as their items say, and no others', async (status) => {
      const { keys } = await list(await oneOfEach(), `status=${status}`);
      expect(keys.map((key) => [key.name, key.status])).toEqual([[status, status]]);
    });

    it('leaves out the revoked alone when it is left out', async () => {
      expect(await namesListed(await oneOfEach())).toEqual(['expired', 'disabled', 'active']);
    });

    it('is repeatable, for any of several', async () => {
      const org = await oneOfEach();
      expect(await namesListed(org, 'status=active&status=revoked&status=active')).toEqual(['revoked', 'active']);
      expect(await namesListed(org, STATUSES.map((status) => `status=${status}`).join('&'))).toEqual(
        STATUSES.toReversed(),
      );
    });

    it.each(['true', 'false'])('says what is meant whatever includeRevoked=%s says', async (includeRevoked) => {
      const org = await oneOfEach();
      expect(await namesListed(org, `includeRevoked=${includeRevoked}&status=revoked`)).toEqual(['revoked']);
      expect(await namesListed(org, `includeRevoked=${includeRevoked}&status=active`)).toEqual(['active']);
    });

    it('agrees with each item at the moment when keys expire', async () => {
      const org = newOrganization();
      const start = Date.now() + 300;
      for (let n = 0; n < 10; n += 1) {
        await service.issueKey(org, { expiresAt: new Date(start + n * 20).toISOString() });
      }
      const seen = new Set<number>();
      while (Date.now() < start + 400) {
        const [active, expired] = await Promise.all([list(org, 'status=active'), list(org, 'status=expired')]);
        expect(active.keys.every(({ status }) => status === 'active')).toBe(true);
        expect(expired.keys.every(({ status }) => status === 'expired')).toBe(true);
        seen.add(expired.keys.length);
      }
      expect(seen.has(10)).toBe(true);
    });
  });

  it('environment: lists the keys of one', async () => {
    const org = newOrganization();
    await service.issueKey(org, { name: 'one' });
    await service.issueKey(org, { name: 'two', environment: 'test' });
    expect(await namesListed(org, 'environment=live')).toEqual(['one']);
    expect(await namesListed(org, 'environment=test')).toEqual(['two']);
  });

  describe('name', () => {
    const NAMES = ['CI', 'CI deploy', 'ci', 'not CI', '100%', '100_', '100x', 'a\\b', 'é', null];
    let org: string;
    beforeAll(async () => {
      org = newOrganization();
      for (const name of NAMES) await service.issueKey(org, { name });
    });

    it.each<[prefix: string, names: string[]]>([
      ['CI', ['CI deploy', 'CI']],
      ['CI d', ['CI deploy']],
      ['c', ['ci']],
      ['100', ['100x', '100_', '100%']],
      ['100%', ['100%']],
      ['100_', ['100_']],
      ['%', []],
      ['_', []],
      ['a\\', ['a\\b']],
      ['\\', []],
      ['é', ['é']],
      ["'; drop table api_keys; --", []],
      ['n'.repeat(255), []],
    ])('lists the keys whose name starts with %j, to the letter', async (prefix, names) => {
      expect(await namesListed(org, new URLSearchParams({ name: prefix }).toString())).toEqual(names);
    });
  });

  it('all apply, and to no other organisation', async () => {
    const [org, other] = [newOrganization(), newOrganization()];
    for (const one of [org, other]) {
      await service.issueKey(one, { name: 'a-live' });
      await service.issueKey(one, { name: 'a-test', environment: 'test' });
      await service.issueKey(one, { name: 'b-test', environment: 'test' });
    }
    const { keys } = await list(org, 'status=active&environment=test&name=a');
    expect(keys).toHaveLength(1);
    expect(keys[0]).toMatchObject({ name: 'a-test', environment: 'test' });
    expect(await namesListed(newOrganization(), 'status=active&environment=test&name=a')).toEqual([]);
  });

  it('page by page are the same keys as at once, whatever is issued between', async () => {
    const environments = ['live', 'test'] as const;
    const filters = fc.record({
      status: fc.subarray(STATUSES),
      environment: fc.option(fc.constantFrom(...environments), { nil: null }),
      name: fc.constantFrom(null, 'a', 'b'),
    });
    await fc.assert(
      fc.asyncProperty(
        filters,
        fc.integer({ min: 1, max: 4 }),
        fc.array(
          fc.tuple(fc.constantFrom('a1', 'b1'), fc.constantFrom(...environments), fc.constantFrom(...STATUSES)),
          {
            minLength: 4,
            maxLength: 10,
          },
        ),
        async ({ status, environment, name }, limit, keys) => {
          const org = newOrganization();
          for (const [keyName, keyEnvironment, keyStatus] of keys) {
            const { id } = await service.issueKey(org, { name: keyName, environment: keyEnvironment });
            await service.sql(`update key_service.api_keys set ${ROWS[keyStatus]} where id = $1`, [id]);
          }
          const query = new URLSearchParams(status.map((one): [string, string] => ['status', one]));
          if (environment !== null) query.set('environment', environment);
          if (name !== null) query.set('name', name);
          const atOnce = (await list(org, query.toString())).keys;
          const expected = keys
            .filter(
              ([keyName, keyEnvironment, keyStatus]) =>
                (status.length === 0 ? keyStatus !== 'revoked' : status.includes(keyStatus)) &&
                (environment === null || keyEnvironment === environment) &&
                (name === null || keyName.startsWith(name)),
            )
            .toReversed();
          expect(atOnce.map((key) => [key.name, key.environment, key.status])).toEqual(expected);
          const paged: Item[] = [];
          for (let cursor: string | null = ''; cursor !== null; ) {
            const page: Page = await list(org, `${query}&limit=${limit}${cursor && `&cursor=${cursor}`}`);
            expect(page.keys.length).toBeLessThanOrEqual(limit);
            paged.push(...page.keys);
            cursor = page.nextCursor;
            // It is newer than all that is still to come, so that it is on no later page.
            await service.issueKey(org, { name: 'a1', environment: environment ?? 'live' });
          }
          expect(paged.map(({ id }) => id)).toEqual(atOnce.map(({ id }) => id));
        },
      ),
      { numRuns: 20 },
    );
  }, 60_000);
});

describe('GET /internal/api-keys with filters 400', () => {
  it.each<[pointer: string, query: string]>([
    ['/status', 'status='],
    ['/status', 'status=gone'],
    ['/status', 'status=ACTIVE'],
    ['/status', 'status=active,revoked'],
    ['/environment', 'environment='],
    ['/environment', 'environment=staging'],
    ['/environment', 'environment=live&environment=test'],
    ['/name', 'name='],
    ['/name', `name=${'n'.repeat(256)}`],
    ['/name', 'name=a%00'],
    ['/name', 'name=a&name=b'],
  ])('%s is named in the answer to %s', async (pointer, query) => {
    const org = newOrganization();
    expectInvalid(await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}&${query}`), pointer);
  });

  it('names a status among several that is none', async () => {
    const { status, body } = await service.asService(
      'GET',
      `/internal/api-keys?clerkOrgId=${newOrganization()}&status=active&status=gone`,
    );
    expect(status).toBe(400);
    expect(body.errors[0].pointer).toMatch(/^\/status/);
  });
});
