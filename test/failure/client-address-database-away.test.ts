import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/key-format.ts';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { warm } from '../support/memory.ts';
import { expectProblem } from '../support/problem.ts';
import { newServiceCaller } from '../support/service-caller.ts';
import { timed } from '../support/stopwatch.ts';

const LIMIT_MS = 1_000;

let apart: LedApart;
let apiKey: string;
/** May be used from where the requests are made, by their peer's address and by the one that they name. */
let listedKey: string;
let serviceKey: string;
beforeAll(async () => {
  // Memory answers for as long as this takes.
  apart = await startLedApart({ CACHE_LEASE_MS: '20000' });
  apiKey = (await apart.other.issueKey(newOrganization())).key;
  listedKey = (await apart.other.issueKey(newOrganization(), { ipAllowList: ['0.0.0.0/0'] })).key;
  serviceKey = (await newServiceCaller(apart.other)).key;
});
afterEach(async () => {
  apart.pool.restore();
  await expect
    .poll(async () => (await validate(generateKey('ks', 'live').key, 'none')).status, { timeout: 10_000 })
    .toBe(401);
});
afterAll(() => apart.stop());

const validate = (key: string, service: string) =>
  apart.led.request('GET', '/validate', {
    headers: { Authorization: `Bearer ${key}`, 'X-Client-IP': '203.0.113.7', 'X-Service-Key': service },
  });

describe.each([
  ['refuses connections', () => apart.pool.cut()],
  ['answers nothing any more', () => apart.pool.stall()],
] as const)('While the database %s, and a service that memory does not know names the address', (_what, takeAway) => {
  it('a key that memory knows is good, within a second', async () => {
    await warm(apart.led, apiKey);
    takeAway();
    const asked = Array.from({ length: 10 }, () => timed(() => validate(apiKey, serviceKey)));
    for (const { answer, tookMs } of await Promise.all(asked)) {
      expect(answer.status, answer.text).toBe(200);
      expect(tookMs).toBeLessThan(LIMIT_MS);
    }
  });

  it('a key with an address list is 503 within a second: neither refused, nor taken for used from the gateway', async () => {
    await warm(apart.led, listedKey);
    takeAway();
    const { answer, tookMs } = await timed(() => validate(listedKey, serviceKey));
    expectProblem(answer, 503, 'database_unavailable');
    expect(tookMs).toBeLessThan(LIMIT_MS);
  });

  it('one that it does not know is 503 within a second, and not later for the second look-up', async () => {
    takeAway();
    const asked = Array.from({ length: 10 }, () =>
      timed(() => validate(generateKey('ks', 'live').key, generateKey('ks', 'service').key)),
    );
    for (const { answer, tookMs } of await Promise.all(asked)) {
      expectProblem(answer, 503, 'database_unavailable');
      expect(tookMs).toBeLessThan(LIMIT_MS);
    }
  });
});
