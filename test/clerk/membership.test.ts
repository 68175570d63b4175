import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLERK_SECRET_KEY, type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

let clerk: ClerkStandIn;
let service: TestService;
beforeAll(async () => {
  clerk = await startClerkStandIn();
  service = await startService({ environment: { ...clerk.environment, CLERK_TIMEOUT_MS: '5000' } });
});
afterAll(async () => {
  await service.stop();
  await clerk.close();
});
beforeEach(() => {
  clerk.requests.length = 0;
  clerk.behaviour = {};
});

/** What a validation says of the members of a new organisation that Clerk knows with these. */
async function validateWith(members: string[] | null, org = newOrganization()) {
  if (members !== null) clerk.members.set(org, members);
  const { key } = await service.issueKey(org);
  const validate = async () => {
    const { status, body } = await service.asHolder(key, '/validate');
    return { status, clerkUserId: body.clerkUserId, membership: body.membership };
  };
  return { org, first: await validate(), validate };
}

describe('the member of an organisation, as Clerk knows it', () => {
  it('is its only one', async () => {
    const { first, org } = await validateWith(['user_fake_1']);
    expect(first).toEqual({ status: 200, clerkUserId: 'user_fake_1', membership: 'fresh' });
    expect(clerk.requests).toEqual([
      {
        method: 'GET',
        url: expect.stringMatching(new RegExp(`^/v1/organizations/${org}/memberships\\?`)),
        authorization: `Bearer ${CLERK_SECRET_KEY}`,
      },
    ]);
  });

  it.each([0, 2, 3, 50])('is nobody when there are %i', async (count) => {
    const { first } = await validateWith(Array.from({ length: count }, (_, index) => `user_fake_${index}`));
    expect(first).toEqual({ status: 200, clerkUserId: null, membership: 'fresh' });
  });

  it('is nobody in an organisation that Clerk does not know, which is an answer like any other and kept', async () => {
    const { first, validate } = await validateWith(null);
    expect(first).toEqual({ status: 200, clerkUserId: null, membership: 'fresh' });
    expect(await validate()).toEqual(first);
    expect(clerk.requests).toHaveLength(1);
  });

  it('is kept: Clerk is asked once for many validations', async () => {
    const { first, validate } = await validateWith(['user_fake_1']);
    for (let again = 0; again < 10; again += 1) expect(await validate()).toEqual(first);
    expect(clerk.requests).toHaveLength(1);
  });

  it('is asked for once by 50 validations at the same time', async () => {
    const org = newOrganization();
    clerk.members.set(org, ['user_fake_1']);
    clerk.behaviour = { delayMs: 300 };
    const { key } = await service.issueKey(org);
    const answers = await Promise.all(Array.from({ length: 50 }, () => service.asHolder(key, '/validate')));
    expect(answers.map(({ status, body }) => [status, body.clerkUserId, body.membership])).toEqual(
      Array(50).fill([200, 'user_fake_1', 'fresh']),
    );
    expect(clerk.requests).toHaveLength(1);
  });

  it('is each organisation its own', async () => {
    const [one, other] = await Promise.all([validateWith(['user_fake_1']), validateWith(['user_fake_2'])]);
    expect([one.first.clerkUserId, other.first.clerkUserId]).toEqual(['user_fake_1', 'user_fake_2']);
  });

  it('is not asked for when the key is refused or lacks a scope', async () => {
    const { key } = await service.issueKey(newOrganization(), { scopes: [] });
    expect((await service.asHolder(key, '/validate?scope=read')).status).toBe(403);
    expect((await service.asHolder(`${key}x`, '/validate')).status).toBe(401);
    expect(clerk.requests).toEqual([]);
  });
});

/** None of them is an id that Clerk would give out. */
const STRANGE_IDS = [
  '.',
  '..',
  '...',
  'org/../../users',
  '../users/user_fake_1',
  'org_a/invitations',
  'org_a?limit=500',
  'org_a#fragment',
  'org_a%2Finvitations',
  '%2e%2e',
  '%2e%2e%2fusers',
  'org_a\\..\\users',
  'org_a;x=y',
  'org:a@b&c=d+e',
  'organisation-é-🔑',
  '%',
];

describe('an organisation whose id is none of Clerk’s', () => {
  it.each(STRANGE_IDS)('makes of its id no other path than its own memberships: %s', async (org) => {
    await validateWith(['user_fake_1'], org);
    for (const { method, url } of clerk.requests) {
      const { pathname } = new URL(url, 'http://stand-in');
      expect(method).toBe('GET');
      expect(pathname).toMatch(/^\/v1\/organizations\/[^/]+\/memberships$/);
      expect(decodeURIComponent(pathname.split('/')[3] ?? '')).toBe(org);
    }
  });

  it.each(STRANGE_IDS)('is one that Clerk does not know, and no sign of trouble: %s', async (org) => {
    const { first } = await validateWith(null, `${org}${org === '.' || org === '..' ? '' : '/again'}`);
    expect(first).toEqual({ status: 200, clerkUserId: null, membership: 'fresh' });
  });
});
