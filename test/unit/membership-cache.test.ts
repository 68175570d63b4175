import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { SoleMemberQuery } from '../../src/clerk/clerk-client.ts';
import { cachedMembership } from '../../src/clerk/membership-cache.ts';
import type { MembershipLookup } from '../../src/organizations/membership.ts';

const SECOND = 1_000;
const STALE_MAX_MS = 3_600 * SECOND;
const fresh = (clerkUserId: string | null) => ({ clerkUserId, membership: 'fresh' });
const stale = (clerkUserId: string | null) => ({ clerkUserId, membership: 'stale' });
const UNAVAILABLE = { clerkUserId: null, membership: 'unavailable' };

/** Lets what runs beside the request come to its end. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('cachedMembership', () => {
  const query = vi.fn<SoleMemberQuery>();
  let clock = 0;
  let lookup: MembershipLookup;
  let refresh: (clerkOrgId: string) => void;
  beforeEach(() => {
    query.mockReset().mockResolvedValue('user_fake_1');
    clock = 5_000;
    ({ lookup, refresh } = cachedMembership({ query, staleMaxMs: STALE_MAX_MS, now: () => clock }));
  });
  const clerkFails = () => query.mockRejectedValue(new Error('Clerk is down'));

  describe('an answer', () => {
    it('is fresh for sixty seconds, without another call', async () => {
      expect(await lookup('org_a')).toEqual(fresh('user_fake_1'));
      clock += 60 * SECOND - 1;
      expect(await lookup('org_a')).toEqual(fresh('user_fake_1'));
      expect(query.mock.calls).toEqual([['org_a']]);
    });

    it('that there is no sole member is kept like any other', async () => {
      query.mockResolvedValue(null);
      expect(await lookup('org_a')).toEqual(fresh(null));
      expect(await lookup('org_a')).toEqual(fresh(null));
      expect(query).toHaveBeenCalledTimes(1);
    });

    it('is of one organisation', async () => {
      query.mockImplementation(async (clerkOrgId) => `user_of_${clerkOrgId}`);
      expect(await lookup('org_a')).toEqual(fresh('user_of_org_a'));
      expect(await lookup('org_b')).toEqual(fresh('user_of_org_b'));
      expect(await lookup('org_a')).toEqual(fresh('user_of_org_a'));
    });

    it('is dated by when it came, so that a slow one is not stale at once', async () => {
      query.mockImplementation(async () => {
        clock += 30 * SECOND;
        return 'user_fake_1';
      });
      await lookup('org_a');
      clock += 59 * SECOND;
      expect(await lookup('org_a')).toEqual(fresh('user_fake_1'));
    });
  });

  describe('after sixty seconds', () => {
    beforeEach(async () => {
      await lookup('org_a');
      clock += 60 * SECOND;
      query.mockClear();
    });

    it('it is served as stale without waiting for Clerk', async () => {
      query.mockReturnValue(new Promise(() => {}));
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
    });

    it('it is refreshed by one call, however many ask', async () => {
      query.mockReturnValue(new Promise(() => {}));
      const answers = await Promise.all(Array.from({ length: 50 }, () => lookup('org_a')));
      expect(answers).toEqual(Array(50).fill(stale('user_fake_1')));
      expect(query).toHaveBeenCalledTimes(1);
    });

    it('the newer answer is served as soon as it is there', async () => {
      query.mockResolvedValue('user_fake_2');
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
      await settle();
      expect(await lookup('org_a')).toEqual(fresh('user_fake_2'));
    });

    it('it outlives failures to refresh it, which are not repeated for ten seconds', async () => {
      clerkFails();
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
      await settle();
      clock += 10 * SECOND - 1;
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
      expect(query).toHaveBeenCalledTimes(1);
      clock += 1;
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
      expect(query).toHaveBeenCalledTimes(2);
    });
  });

  describe('after the longest that an answer may be stale', () => {
    beforeEach(async () => {
      await lookup('org_a');
      clock += STALE_MAX_MS;
    });

    it('it is unavailable when Clerk still fails', async () => {
      clerkFails();
      expect(await lookup('org_a')).toEqual(UNAVAILABLE);
    });

    it('it was stale a moment before', async () => {
      clerkFails();
      clock -= 1;
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
    });

    it('the first who asks waits for the newer answer', async () => {
      query.mockResolvedValue('user_fake_2');
      expect(await lookup('org_a')).toEqual(fresh('user_fake_2'));
    });
  });

  describe('without an earlier answer', () => {
    it('all who ask at once wait for one call', async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => lookup('org_a')));
      expect(answers).toEqual(Array(50).fill(fresh('user_fake_1')));
      expect(query).toHaveBeenCalledTimes(1);
    });

    it('a failure is an answer and never an error', async () => {
      clerkFails();
      const answers = await Promise.all(Array.from({ length: 50 }, () => lookup('org_a')));
      expect(answers).toEqual(Array(50).fill(UNAVAILABLE));
      expect(query).toHaveBeenCalledTimes(1);
    });

    it('a failure is remembered for ten seconds, then Clerk is asked again', async () => {
      clerkFails();
      await lookup('org_a');
      query.mockResolvedValue('user_fake_1');
      clock += 10 * SECOND - 1;
      expect(await lookup('org_a')).toEqual(UNAVAILABLE);
      expect(query).toHaveBeenCalledTimes(1);
      clock += 1;
      expect(await lookup('org_a')).toEqual(fresh('user_fake_1'));
      expect(query).toHaveBeenCalledTimes(2);
    });

    it('a failure about one organisation is none about another', async () => {
      query.mockRejectedValueOnce(new Error('Clerk is down'));
      await lookup('org_a');
      expect(await lookup('org_b')).toEqual(fresh('user_fake_1'));
    });
  });

  it('forgets a failure with the next answer', async () => {
    query.mockRejectedValueOnce(new Error('Clerk is down'));
    await lookup('org_a');
    clock += 10 * SECOND;
    await lookup('org_a');
    clock += 60 * SECOND;
    query.mockResolvedValue('user_fake_2');
    expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
    await settle();
    expect(await lookup('org_a')).toEqual(fresh('user_fake_2'));
  });

  describe('a change of members', () => {
    it('is asked for at once, and until Clerk has answered the earlier answer is stale', async () => {
      await lookup('org_a');
      query.mockResolvedValue('user_fake_2');
      refresh('org_a');
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
      await settle();
      expect(await lookup('org_a')).toEqual(fresh('user_fake_2'));
      expect(query).toHaveBeenCalledTimes(2);
    });

    it('is not asked for when nothing is known of the organisation', async () => {
      refresh('org_a');
      await settle();
      expect(query).not.toHaveBeenCalled();
    });

    it('is asked for again, once, when it comes while Clerk is being asked', async () => {
      let answer = (_userId: string): void => {};
      query.mockReturnValueOnce(new Promise((resolve) => (answer = resolve)));
      const first = lookup('org_a');
      query.mockResolvedValue('user_fake_2');
      refresh('org_a');
      refresh('org_a');
      answer('user_fake_1');
      expect(await first).toEqual(stale('user_fake_1'));
      await settle();
      expect(await lookup('org_a')).toEqual(fresh('user_fake_2'));
      expect(query).toHaveBeenCalledTimes(2);
    });

    it('is asked for though Clerk has failed just before', async () => {
      clerkFails();
      await lookup('org_a');
      query.mockReset().mockResolvedValue('user_fake_2');
      refresh('org_a');
      await settle();
      expect(await lookup('org_a')).toEqual(fresh('user_fake_2'));
    });

    it('leaves the earlier answer stale when Clerk fails, and it is asked for again ten seconds later', async () => {
      await lookup('org_a');
      clerkFails();
      refresh('org_a');
      await settle();
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
      query.mockReset().mockResolvedValue('user_fake_2');
      clock += 10 * SECOND;
      expect(await lookup('org_a')).toEqual(stale('user_fake_1'));
      await settle();
      expect(await lookup('org_a')).toEqual(fresh('user_fake_2'));
    });
  });

  it('may keep answers for less than it would call them fresh', async () => {
    ({ lookup } = cachedMembership({ query, staleMaxMs: SECOND, now: () => clock }));
    await lookup('org_a');
    clock += SECOND;
    clerkFails();
    expect(await lookup('org_a')).toEqual(UNAVAILABLE);
  });
});
