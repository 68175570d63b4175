import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CHANGES_CHANNEL } from '../../../src/database/change-feed/change.ts';
import { execute } from '../../support/database-server.ts';
import { type OpenedFeed, openFeed } from '../../support/opened-feed.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const LEASE_MS = 800;
const SOON = { timeout: 10_000, interval: 5 };

let database: TestDatabase;
let proxy: TcpProxy;
let opened: OpenedFeed;
let sent: number;
let lastSentAt: number;
beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  proxy = await startTcpProxy(database.url);
  sent = 0;
  opened = openFeed({
    url: database.url,
    directUrl: proxy.through(database.url),
    leaseMs: LEASE_MS,
    onSend: () => {
      sent += 1;
      lastSentAt = performance.now();
    },
  });
  expect(await opened.feed.start(10_000)).toBe(true);
});
afterEach(async () => {
  await opened.close();
  await proxy.close();
  await database.drop();
});

describe('a ChangeFeed that is told of everything late', () => {
  it('has no lease from a probe that was on its way for longer than the lease lasts', async () => {
    const { feed, leases, probesBack, heldProbes, holdProbes, letProbesGo } = opened;
    proxy.stall();
    const sentBefore = sent;
    await expect.poll(() => sent, SOON).toBeGreaterThan(sentBefore);
    const [backBefore, newest] = [probesBack(), lastSentAt];
    holdProbes();
    await expect.poll(() => performance.now() - newest, SOON).toBeGreaterThan(LEASE_MS);
    await expect.poll(() => leases, SOON).toEqual([true, false]);
    expect(heldProbes()).toBeGreaterThan(0);
    proxy.resume();
    await expect.poll(probesBack, SOON).toBeGreaterThan(backBefore);
    expect({ held: feed.holdsLease, leases }).toEqual({ held: false, leases: [true, false] });
    letProbesGo();
    await expect.poll(() => leases, SOON).toEqual([true, false, true]);
  });

  it('is told of what was committed meanwhile before it has its lease again, and forgets nothing else', async () => {
    const { feed, told, leases, probesBack, heldProbes, holdProbes, letProbesGo } = opened;
    const since = feed.position ?? Number.NaN;
    const toldAtLease: number[] = [];
    holdProbes();
    await expect.poll(() => sent - heldProbes() - probesBack(), SOON).toBe(0);
    proxy.stall();
    await execute(database.url, 'select pg_notify($1, $2)', [CHANGES_CHANNEL, `api-key revoked ${'A'.repeat(43)}=`]);
    letProbesGo();
    await expect.poll(() => leases, SOON).toEqual([true, false]);
    feed.subscribe(() => toldAtLease.push(leases.length));
    proxy.resume();
    await expect.poll(() => leases, SOON).toEqual([true, false, true]);
    expect(told.map(({ kind }) => kind)).toEqual(['everything-changed', 'api-key-revoked']);
    expect(toldAtLease).toEqual([2]);
    expect(feed.unchangedSince(since, 'another')).toBe(true);
  });
});
