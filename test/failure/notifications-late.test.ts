import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { answersFromMemory, memoryOf, warm } from '../support/memory.ts';
import { acceptedAfter, answersOf, watchValidations } from '../support/validation-watch.ts';

let apart: LedApart;
const org = newOrganization();
/** Asked for before and after the trouble, and not meanwhile. */
let quiet: string[];
let doomed: { id: string; key: string };
beforeAll(async () => {
  apart = await startLedApart({ CACHE_LEASE_MS: '1000' });
});
beforeEach(async () => {
  quiet = [];
  while (quiet.length < 5) quiet.push((await apart.other.issueKey(org)).key);
  doomed = await apart.other.issueKey(org);
  await warm(apart.led, ...quiet, doomed.key);
});
afterEach(() => {
  apart.feed.restore();
  apart.pool.restore();
});
afterAll(() => apart.stop());

async function revoke() {
  const { status } = await apart.other.asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
  expect(status).toBe(200);
}

describe('Notifications that arrive late', () => {
  it('by less than the lease leave it held, and a revocation counts when its own arrives', async () => {
    apart.feed.delay(300);
    // Until the probes that were not delayed are used up.
    await sleep(apart.leaseMs);
    await warm(apart.led, ...quiet, doomed.key);
    const before = await memoryOf(apart.led);
    const watch = watchValidations(apart.led, doomed.key);
    await expect.poll(() => watch.seen.length).toBeGreaterThan(3);
    await revoke();
    const answeredMs = performance.now();
    await sleep(apart.leaseMs * 1.5);
    const seen = await watch.stop();
    expect(acceptedAfter(seen, answeredMs + apart.leaseMs)).toEqual([]);
    expect(answersOf(seen)).toEqual(['200', '401 api_key_revoked']);
    expect(await answersFromMemory(apart.led, quiet)).toBe(true);
    // Read anew was the revoked key, once.
    expect((await memoryOf(apart.led)).misses - before.misses).toBe(1);
  });

  it('by more than the lease suspend it: a revocation counts within the lease, and memory is not emptied', async () => {
    const before = await memoryOf(apart.led);
    const watch = watchValidations(apart.led, doomed.key);
    await expect.poll(() => watch.seen.length).toBeGreaterThan(3);
    apart.feed.delay(apart.leaseMs * 1.5);
    await revoke();
    const answeredMs = performance.now();
    await expect.poll(async () => (await memoryOf(apart.led)).leaseHeld, { timeout: 5_000 }).toBe(false);
    await sleep(apart.leaseMs);
    const seen = await watch.stop();
    expect(acceptedAfter(seen, answeredMs + apart.leaseMs)).toEqual([]);
    expect(answersOf(seen)).toEqual(['200', '401 api_key_revoked']);

    apart.feed.delay(0);
    await expect.poll(async () => (await memoryOf(apart.led)).leaseHeld, { timeout: 5_000 }).toBe(true);
    const after = await memoryOf(apart.led);
    expect(after.misses).toBeGreaterThan(before.misses);
    expect(after.entries).toBeGreaterThanOrEqual(quiet.length);
    await expect.poll(() => answersFromMemory(apart.led, quiet), { timeout: 5_000 }).toBe(true);
    expect((await apart.led.asHolder(doomed.key, '/validate')).body.code).toBe('api_key_revoked');
  });

  it('beyond all patience are those of a connection that is made anew, by itself', async () => {
    apart.feed.delay(apart.leaseMs * 5);
    await revoke();
    const answeredMs = performance.now();
    const watch = watchValidations(apart.led, doomed.key);
    // Memory is emptied when the connection is given up.
    await expect.poll(async () => (await memoryOf(apart.led)).entries, { timeout: 15_000 }).toBe(0);
    expect(acceptedAfter(await watch.stop(), answeredMs + apart.leaseMs)).toEqual([]);
    expect(answersOf(watch.seen)).toContain('401 api_key_revoked');
    apart.feed.delay(0);
    await warm(apart.led, ...quiet);
  });
});

describe('Probes that come late because the way of the pool is slow', () => {
  it('suspend the lease and do not take the connections that look-ups need', async () => {
    const { misses } = await memoryOf(apart.led);
    // A look-up still has its answer in time; a probe is older than the lease when it comes.
    apart.pool.delay(100);
    apart.feed.delay(apart.leaseMs);
    await expect.poll(async () => (await memoryOf(apart.led)).leaseHeld, { timeout: 5_000 }).toBe(false);
    await sleep(apart.leaseMs);
    for (const key of quiet) expect((await apart.led.asHolder(key, '/validate')).status).toBe(200);
    expect((await memoryOf(apart.led)).misses).toBe(misses + quiet.length);

    apart.pool.delay(0);
    apart.feed.delay(0);
    await expect.poll(async () => (await memoryOf(apart.led)).leaseHeld, { timeout: 5_000 }).toBe(true);
    expect(await answersFromMemory(apart.led, quiet)).toBe(true);
    expect((await memoryOf(apart.led)).misses).toBe(misses + quiet.length);
  });
});
