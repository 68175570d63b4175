import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { isBackToNormal, memoryOf, warm } from '../support/memory.ts';
import { acceptedAfter, answersOf, watchValidations } from '../support/validation-watch.ts';

/** What callers are promised when the database is gone. */
const BLIND_LIMIT_MS = 1_000;

let apart: LedApart;
const org = newOrganization();
let kept: string;
let doomed: { id: string; key: string };
beforeAll(async () => {
  apart = await startLedApart();
  ({ key: kept } = await apart.other.issueKey(org));
});
beforeEach(async () => {
  doomed = await apart.other.issueKey(org);
  await warm(apart.led, kept, doomed.key);
});
afterEach(() => {
  apart.pool.restore();
  apart.feed.restore();
});
afterAll(() => apart.stop());

const byAnotherReplica = async () => {
  const { status } = await apart.other.asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
  expect(status).toBe(200);
};
const bySql = () => apart.other.sql('update key_service.api_keys set revoked_at = now() where id = $1', [doomed.id]);
const revokers = { 'another replica': byAnotherReplica, 'SQL on the server': bySql };

/** Takes something away, revokes, and tells how both keys were answered from before until the lease is long over. */
async function revokedWhile(takeAway: () => void, revoke: () => Promise<unknown>) {
  const { leaseMs, led } = apart;
  const watches = [watchValidations(led, doomed.key), watchValidations(led, kept)] as const;
  for (const { seen } of watches) await expect.poll(() => seen.length).toBeGreaterThan(3);
  takeAway();
  await revoke();
  const answeredMs = performance.now();
  await sleep(leaseMs * 3);
  const [ofDoomed, ofKept] = await Promise.all([watches[0].stop(), watches[1].stop()]);
  const began = (seen: typeof ofDoomed) => seen.filter(({ beganMs }) => beganMs > answeredMs + leaseMs);
  expect(acceptedAfter(ofDoomed, answeredMs + leaseMs)).toEqual([]);
  expect(began(ofDoomed).length).toBeGreaterThan(3);
  return { ofDoomed, ofKept, afterLease: [...began(ofDoomed), ...began(ofKept)] };
}

async function comesBack() {
  apart.pool.restore();
  apart.feed.restore();
  await expect.poll(() => isBackToNormal(apart.led, [kept]), { timeout: 15_000 }).toBe(true);
  // The pool has more than one connection, and each that is dead fails who comes upon it.
  const ofDoomed: string[] = [];
  const answer = async () => {
    const { status, body } = await apart.led.asHolder(doomed.key, '/validate');
    ofDoomed.push(`${status} ${body.code}`);
    return ofDoomed.at(-1);
  };
  await expect.poll(answer, { timeout: 10_000 }).toBe('401 api_key_revoked');
  for (const earlier of ofDoomed.slice(0, -1)) expect(earlier).toBe('503 database_unavailable');
}

describe.each(Object.entries(revokers))('A key that %s revokes', (_, revoke) => {
  describe.each([
    ['cut', () => apart.feed.cut()],
    ['deaf on sockets that look alive', () => apart.feed.stall()],
  ] as const)('while the change feed alone is %s', (__, takeAway) => {
    it('is refused within the lease, every other key is answered from the database, and the feed comes back', async () => {
      const { ofDoomed, ofKept } = await revokedWhile(takeAway, revoke);
      expect(answersOf(ofDoomed)).toEqual(['200', '401 api_key_revoked']);
      expect(answersOf(ofKept)).toEqual(['200']);
      expect((await memoryOf(apart.led)).leaseHeld).toBe(false);
      expect((await apart.led.request('GET', '/health/ready')).body.checks).toMatchObject({
        database: 'ok',
        changeFeed: 'unavailable',
      });
      await comesBack();
    });
  });

  describe.each([
    ['the pool alone is cut', () => apart.pool.cut()],
    ['the pool alone answers nothing', () => apart.pool.stall()],
  ] as const)('while %s', (__, takeAway) => {
    it('is refused within the lease, nothing is ever a 401 that was not looked up, and the pool comes back', async () => {
      const { ofDoomed, ofKept, afterLease } = await revokedWhile(takeAway, revoke);
      // The feed still tells of the revocation, but what was revoked has to be read to be answered as such.
      expect(answersOf(ofDoomed)).toEqual(['200', '503 database_unavailable']);
      expect(answersOf(ofKept)).toEqual(['200', '503 database_unavailable']);
      for (const { status, tookMs } of afterLease) {
        expect(status).toBe(503);
        expect(tookMs).toBeLessThan(BLIND_LIMIT_MS);
      }
      await comesBack();
    });
  });

  describe.each([
    ['are cut', () => [apart.pool.cut(), apart.feed.cut()]],
    ['answer nothing', () => [apart.pool.stall(), apart.feed.stall()]],
  ] as const)('while the feed and the pool both %s', (__, takeAway) => {
    it('is refused within the lease, all is a 503 within a second and never a 401, and both come back', async () => {
      const { ofDoomed, ofKept, afterLease } = await revokedWhile(takeAway, revoke);
      expect(answersOf([...ofDoomed, ...ofKept])).toEqual(['200', '503 database_unavailable']);
      for (const { status, tookMs } of afterLease) {
        expect(status).toBe(503);
        expect(tookMs).toBeLessThan(BLIND_LIMIT_MS);
      }
      await comesBack();
    });
  });
});
