import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { isBackToNormal, warm } from '../support/memory.ts';
import { acceptedAfter, answersOf, watchValidations } from '../support/validation-watch.ts';

const DEFAULT_LEASE_MS = 2_000;

let apart: LedApart;
const org = newOrganization();
beforeAll(async () => {
  apart = await startLedApart({ CACHE_LEASE_MS: undefined });
});
afterAll(() => apart.stop());

describe('With the lease that nobody set', () => {
  it('a key that is revoked out of sight of a replica is refused there within two seconds', {
    timeout: 60_000,
  }, async () => {
    const { key: kept } = await apart.other.issueKey(org);
    const doomed = await apart.other.issueKey(org);
    await warm(apart.led, kept, doomed.key);
    const watch = watchValidations(apart.led, doomed.key);
    await expect.poll(() => watch.seen.length).toBeGreaterThan(3);
    apart.pool.stall();
    apart.feed.stall();
    await apart.other.asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
    const answeredMs = performance.now();
    await sleep(DEFAULT_LEASE_MS * 1.5);
    const seen = await watch.stop();
    expect(acceptedAfter(seen, answeredMs + DEFAULT_LEASE_MS)).toEqual([]);
    // Until then it was answered from memory: nothing but the lease ends that.
    expect(acceptedAfter(seen, answeredMs)).not.toEqual([]);
    expect(answersOf(seen)).toEqual(['200', '503 database_unavailable']);
    apart.pool.restore();
    apart.feed.restore();
    await expect.poll(() => isBackToNormal(apart.led, [kept]), { timeout: 30_000 }).toBe(true);
    expect((await apart.led.asHolder(doomed.key, '/validate')).body.code).toBe('api_key_revoked');
  });
});
