import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CHANGES_CHANNEL, keyHashOf } from '../../../src/database/change-feed/change.ts';
import { execute } from '../../support/database-server.ts';
import { type FeedOptions, type OpenedFeed, openFeed } from '../../support/opened-feed.ts';
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts';

/** For whatever has to come back from a database, on a machine that does other things too. */
const SOON = { timeout: 10_000, interval: 5 };
const EVERYTHING = { kind: 'everything-changed' };

let database: TestDatabase;
let other: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
  other = await createTestDatabase({ empty: true });
});
afterAll(async () => {
  await database.drop();
  await other.drop();
});

const opened: OpenedFeed[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((feed) => feed.close()));
});
function open(options: Partial<FeedOptions> = {}): OpenedFeed {
  const feed = openFeed({ url: database.url, ...options });
  opened.push(feed);
  return feed;
}
async function openWithLease(options: Partial<FeedOptions> = {}): Promise<OpenedFeed> {
  const opened = open(options);
  expect(await opened.feed.start(10_000)).toBe(true);
  return opened;
}
/** Commits a change on a connection of its own. */
const commit = (payload: string, url = database.url) =>
  execute(url, 'select pg_notify($1, $2)', [CHANGES_CHANNEL, payload]);

describe('ChangeFeed', () => {
  it('has no lease and no position before it is started', () => {
    const { feed } = open();
    expect({ lease: feed.holdsLease, position: feed.position }).toEqual({ lease: false, position: null });
  });

  it('has a lease as soon as its first probe is back, and says so once', async () => {
    const { feed, leases, probesBack } = await openWithLease();
    expect(feed.holdsLease).toBe(true);
    await expect.poll(probesBack, SOON).toBeGreaterThan(2);
    expect(leases).toEqual([true]);
  });

  it('tells of everything when it begins to listen: nothing from before is vouched for', async () => {
    const { told } = await openWithLease();
    expect(told).toEqual([EVERYTHING]);
  });

  it('tells of a change that was committed on another connection', async () => {
    const { feed, told } = await openWithLease();
    const since = feed.position ?? Number.NaN;
    const [organizationId, hash] = [randomUUID(), randomBytes(32)];
    await commit(`organization changed ${organizationId}`);
    await commit(`api-key revoked ${hash.toString('base64')}`);
    await expect
      .poll(() => told.slice(1), SOON)
      .toEqual([
        { kind: 'organization-changed', organizationId },
        { kind: 'api-key-revoked', keyHash: keyHashOf(hash) },
      ]);
    expect(feed.unchangedSince(since, organizationId)).toBe(false);
    expect(feed.unchangedSince(since, keyHashOf(hash))).toBe(false);
    expect(feed.unchangedSince(since, randomUUID())).toBe(true);
  });

  it('tells of everything when it does not understand what changed', async () => {
    const { feed, told } = await openWithLease();
    const since = feed.position ?? Number.NaN;
    await commit('something else altogether');
    await expect.poll(() => told.slice(1), SOON).toEqual([EVERYTHING]);
    expect(feed.unchangedSince(since, 'anything')).toBe(false);
  });

  it('tells of a change that this replica made at once, to everyone', async () => {
    const { feed, told } = await openWithLease();
    const others: unknown[] = [];
    feed.subscribe((change) => others.push(change));
    const since = feed.position ?? Number.NaN;
    const change = { kind: 'organization-changed', organizationId: randomUUID() } as const;
    feed.announce(change);
    expect(told.slice(1)).toEqual([change]);
    expect(others).toEqual([change]);
    expect(feed.unchangedSince(since, change.organizationId)).toBe(false);
  });

  it('has told of every change that was committed before a probe was sent when that probe is back', async () => {
    let committed = 0;
    let tooEarly = 0;
    const committedBefore: number[] = [];
    const { feed, told, probesBack } = open({
      leaseMs: 100,
      onSend: () => committedBefore.push(committed),
      // Of those still out the first one counts: a later one knows of as many changes, or more.
      onProbe: () => {
        if (told.length - 1 < (committedBefore.shift() ?? 0)) tooEarly += 1;
      },
    });
    await feed.start(10_000);
    const began = probesBack();
    for (; probesBack() < began + 5 || committed < 30; committed += 1) {
      await commit(`organization changed ${randomUUID()}`);
    }
    expect(tooEarly).toBe(0);
  });
});

describe('the lease of a ChangeFeed', () => {
  it('is suspended while probes are late, without anything being forgotten, and comes back with them', async () => {
    const { feed, told, leases, holdProbes, letProbesGo } = await openWithLease({ leaseMs: 200 });
    const since = feed.position ?? Number.NaN;
    holdProbes();
    await expect.poll(() => leases, SOON).toEqual([true, false]);
    expect(feed.holdsLease).toBe(false);
    expect(feed.unchangedSince(since, 'anything')).toBe(true);
    letProbesGo();
    await expect.poll(() => leases, SOON).toEqual([true, false, true]);
    expect(told).toEqual([EVERYTHING]);
  });

  it('is told to be missing when the time to wait for it is over, and comes later', async () => {
    const { feed, holdProbes, letProbesGo } = open();
    holdProbes();
    expect(await feed.start(50)).toBe(false);
    letProbesGo();
    await expect.poll(() => feed.holdsLease, SOON).toBe(true);
  });

  it("is not had from another replica's probes on the same database", async () => {
    const blind = open({ leaseMs: 200 });
    blind.holdProbes();
    const waited = blind.feed.start(1_000);
    const { probesBack } = await openWithLease({ leaseMs: 200 });
    await expect.poll(probesBack, SOON).toBeGreaterThan(8);
    expect(await waited).toBe(false);
    expect({ leases: blind.leases, back: blind.probesBack() }).toEqual({ leases: [], back: 0 });
    blind.letProbesGo();
    await expect.poll(() => blind.feed.holdsLease, SOON).toBe(true);
  });

  it('is never had when the feed listens to another database than the one that is written to', async () => {
    const { feed, told, leases, probesBack } = open({ directUrl: other.url, leaseMs: 100 });
    expect(await feed.start(200)).toBe(false);
    // It takes the connection for a deaf one and tries others: each is lost and made again.
    await expect.poll(() => told.length, SOON).toBeGreaterThanOrEqual(5);
    expect({ held: feed.holdsLease, leases, back: probesBack() }).toEqual({ held: false, leases: [], back: 0 });
  });
});

describe('a ChangeFeed that is stopped', () => {
  it('has no lease, vouches for nothing, and has told of everything', async () => {
    const { feed, told } = await openWithLease();
    const since = feed.position ?? Number.NaN;
    feed.stop();
    expect({ lease: feed.holdsLease, position: feed.position }).toEqual({ lease: false, position: null });
    expect(feed.unchangedSince(since, 'anything')).toBe(false);
    expect(told).toEqual([EVERYTHING, EVERYTHING]);
  });

  it('does not say that its lease was lost: nobody asks for it any more', async () => {
    const { feed, leases } = await openWithLease();
    feed.stop();
    expect(leases).toEqual([true]);
  });
});
