import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CHANGES_CHANNEL } from '../../../src/database/change-feed/change.ts';
import { execute } from '../../support/database-server.ts';
import { type OpenedFeed, openFeed } from '../../support/opened-feed.ts';
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const SOON = { timeout: 10_000, interval: 5 };
const EVERYTHING = { kind: 'everything-changed' };

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
});
afterAll(() => database.drop());

let opened: OpenedFeed;
let since: number;
beforeEach(async () => {
  opened = openFeed({ url: database.url, leaseMs: 2_000 });
  expect(await opened.feed.start(10_000)).toBe(true);
  since = opened.feed.position ?? Number.NaN;
});
afterEach(() => opened.close());

/** Ends the feed's connection at the server; from then on it tells nobody anything. */
const endConnection = () =>
  execute(
    database.url,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'key-service change feed' and datname = current_database()`,
  );

/** Commits a change on a connection of its own. @returns the organisation */
async function commitChange(): Promise<string> {
  const organizationId = randomUUID();
  await execute(database.url, 'select pg_notify($1, $2)', [CHANGES_CHANNEL, `organization changed ${organizationId}`]);
  return organizationId;
}

describe('a ChangeFeed whose connection is lost', () => {
  it('has no lease from that moment, and tells of everything when it is lost and when it listens again', async () => {
    const { feed, told, leases, holdProbes, letProbesGo } = opened;
    holdProbes();
    await endConnection();
    await expect.poll(() => told, SOON).toEqual([EVERYTHING, EVERYTHING, EVERYTHING]);
    expect({ held: feed.holdsLease, leases }).toEqual({ held: false, leases: [true, false] });
    letProbesGo();
    await expect.poll(() => leases, SOON).toEqual([true, false, true]);
  });

  it('says all this before it does anything else', async () => {
    const { feed } = opened;
    const seen: unknown[] = [];
    feed.subscribe(() => seen.push({ held: feed.holdsLease, followed: feed.position !== null }));
    await endConnection();
    await expect
      .poll(() => seen, SOON)
      .toEqual([
        { held: false, followed: false },
        { held: false, followed: true },
      ]);
  });

  it('never vouches for what was read before, and does for what is read after it listens again', async () => {
    const { feed, told } = opened;
    await endConnection();
    await expect.poll(() => told.length, SOON).toBe(3);
    expect(feed.unchangedSince(since, 'anything')).toBe(false);
    expect(feed.unchangedSince(feed.position ?? Number.NaN, 'anything')).toBe(true);
  });

  it('tells of changes again', async () => {
    const { told, leases } = opened;
    await endConnection();
    await expect.poll(() => leases, SOON).toEqual([true, false, true]);
    const organizationId = randomUUID();
    await execute(database.url, 'select pg_notify($1, $2)', [
      CHANGES_CHANNEL,
      `organization changed ${organizationId}`,
    ]);
    await expect.poll(() => told.at(-1), SOON).toEqual({ kind: 'organization-changed', organizationId });
  });

  it('has no lease from a probe that was sent while it listened on the connection before', async () => {
    const { feed, told, leases, holdProbes, letProbesGo, heldProbes, takeHeldProbes, probesBack } = opened;
    holdProbes();
    await expect.poll(heldProbes, SOON).toBeGreaterThan(0);
    const sendOld = takeHeldProbes();
    const before = probesBack();
    await endConnection();
    await expect.poll(() => told.length, SOON).toBe(3);
    await sendOld();
    await commitChange();
    await expect.poll(() => told.length, SOON).toBe(4);
    expect({ held: feed.holdsLease, back: probesBack() }).toEqual({ held: false, back: before });
    letProbesGo();
    await expect.poll(() => leases, SOON).toEqual([true, false, true]);
  });
});
