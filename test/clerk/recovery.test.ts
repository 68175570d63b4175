import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { clerkClient } from '../../src/clerk/clerk-client.ts';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';

const BREAKER_RESET_MS = 10_000;

describe('once Clerk has failed again and again', () => {
  let clerk: ClerkStandIn;
  beforeEach(async () => {
    clerk = await startClerkStandIn();
    clerk.members.set('org_a', ['user_fake_1']);
    // The breaker's clock only; what the network waits for stays real.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await clerk.close();
  });

  /** A client of the stand-in whose breaker is open, and what it told of it. */
  async function leftAlone() {
    const { CLERK_API_URL: apiUrl, CLERK_SECRET_KEY: secretKey } = clerk.environment;
    const states: unknown[] = [];
    const client = clerkClient({
      secretKey,
      apiUrl,
      timeoutMs: 800,
      onAnswer: () => {},
      onBreaker: (state, status) => states.push([state, status]),
    });
    clerk.behaviour = { status: 429 };
    for (let call = 0; call < 5; call += 1) await expect(client.soleMember('org_a')).rejects.toThrow();
    clerk.requests.length = 0;
    return { ...client, states };
  }

  it('it is asked again after ten seconds and, when it answers, as before', async () => {
    const { soleMember, states, close } = await leftAlone();
    clerk.behaviour = {};
    vi.advanceTimersByTime(BREAKER_RESET_MS - 1);
    await expect(soleMember('org_a')).rejects.toThrow();
    expect(clerk.requests).toHaveLength(0);
    vi.advanceTimersByTime(1);
    expect(await soleMember('org_a')).toBe('user_fake_1');
    expect(await soleMember('org_a')).toBe('user_fake_1');
    expect(states).toEqual([
      ['open', 429],
      ['closed', null],
    ]);
    close();
  });

  it('one call tries, and when that fails it is left alone for another ten seconds', async () => {
    const { soleMember, close } = await leftAlone();
    vi.advanceTimersByTime(BREAKER_RESET_MS);
    const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => soleMember('org_a')));
    expect(attempts.map(({ status }) => status)).toEqual(Array(10).fill('rejected'));
    expect(clerk.requests).toHaveLength(1);
    vi.advanceTimersByTime(BREAKER_RESET_MS - 1);
    await expect(soleMember('org_a')).rejects.toThrow();
    expect(clerk.requests).toHaveLength(1);
    close();
  });
});
