import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { warm } from '../support/memory.ts';
import { acceptedAfter, answersOf, watchValidations } from '../support/validation-watch.ts';

let apart: LedApart;
const org = newOrganization();
let key: string;
beforeAll(async () => {
  apart = await startLedApart();
  ({ key } = await apart.other.issueKey(org));
  await apart.other.saveProviderKey(org, 'openai', 'not-a-real-one');
});
beforeEach(() => warm(apart.led, key));
afterEach(async () => {
  apart.pool.restore();
  apart.feed.restore();
  await freeze('unfreeze');
});
afterAll(() => apart.stop());

async function freeze(verb: 'freeze' | 'unfreeze') {
  for (const path of [`/internal/organizations/${org}/${verb}-reveals`, `/internal/${verb}-reveals`]) {
    expect((await apart.other.asService('POST', path)).status).toBe(200);
  }
}

/** How a replica that learns nothing more answers reveals, before and after another one froze them. */
async function revealsWhile(takeAway: () => void) {
  const watch = watchValidations(apart.led, key, { path: '/validate/keys/openai' });
  await expect.poll(() => watch.seen.length).toBeGreaterThan(3);
  takeAway();
  await freeze('freeze');
  const answeredMs = performance.now();
  await sleep(apart.leaseMs * 4);
  const seen = await watch.stop();
  expect(acceptedAfter(seen, answeredMs + apart.leaseMs)).toEqual([]);
  // Nor did one leave that had begun before.
  expect(
    seen.filter(({ status, beganMs, tookMs }) => status === 200 && beganMs + tookMs > answeredMs + apart.leaseMs),
  ).toEqual([]);
  expect(seen.filter(({ beganMs }) => beganMs > answeredMs + apart.leaseMs).length).toBeGreaterThan(3);
  return answersOf(seen);
}

describe('Reveals that another process froze', () => {
  it('are refused in milliseconds', async () => {
    expect(await revealsWhile(() => {})).toEqual(['200', '423 reveals_frozen']);
  });

  it.each([
    ['cut', () => apart.feed.cut()],
    ['deaf on a socket that looks alive', () => apart.feed.stall()],
  ])('are refused within the lease where the change feed is %s', async (_how, takeAway) => {
    expect(await revealsWhile(takeAway)).toEqual(['200', '423 reveals_frozen']);
  });

  it('are refused within the lease where the database is away', async () => {
    const answers = await revealsWhile(() => [apart.pool.cut(), apart.feed.cut()]);
    // Those that waited for their record found that out there.
    expect(answers.filter((answer) => answer !== '503 audit_unavailable')).toEqual(['200', '503 database_unavailable']);
  });
});
