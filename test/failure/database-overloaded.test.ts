import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { memoryOf, warm } from '../support/memory.ts';
import { acceptedAfter, answersOf, watchValidations } from '../support/validation-watch.ts';

const KEYS = 320;
const VALIDATION_LIMIT_MS = 1_000;
const OFFERED_MS = 3_000;

let apart: LedApart;
const org = newOrganization();
let keys: string[];
beforeAll(async () => {
  // One look-up at a time, of 64 keys at most, that were found before.
  apart = await startLedApart({ DATABASE_POOL_MAX: '4' });
  keys = [];
  for (let issued = 0; issued < KEYS; issued += 4) {
    const some = await Promise.all(Array.from({ length: 4 }, () => apart.other.issueKey(org)));
    keys.push(...some.map(({ key }) => key));
  }
});
afterEach(() => {
  apart.pool.restore();
  apart.feed.restore();
});
afterAll(() => apart.stop());

const leaseHeld = async () => (await memoryOf(apart.led)).leaseHeld;

/** In portions, so that nobody has to wait for more look-ups than may wait. */
async function warmAll() {
  for (let start = 0; start < KEYS; start += 40) await warm(apart.led, ...keys.slice(start, start + 40));
}

describe('While probes come late because the database is overloaded', () => {
  it('known keys are read within a budget, beyond it they are told to come back, and memory is kept', async () => {
    await warmAll();
    apart.feed.delay(apart.leaseMs * 2);
    apart.pool.delay(60);
    await expect.poll(leaseHeld, { timeout: 5_000 }).toBe(false);
    const all = await Promise.all(keys.map((key) => apart.led.asHolder(key, '/validate')));
    for (const { status, body } of all) expect([200, 503], body.code).toContain(status);
    // So is told who waited for a turn that did not come.
    const overloaded = all.filter(({ body }) => body.code === 'overloaded');
    expect(overloaded.length).toBeGreaterThan(KEYS / 4);
    for (const { headers } of overloaded) expect(headers.get('retry-after')).toBe('1');

    apart.pool.delay(0);
    apart.feed.delay(0);
    await expect.poll(leaseHeld, { timeout: 5_000 }).toBe(true);
    // Nothing was forgotten, and it is answered with again.
    expect((await memoryOf(apart.led)).entries).toBe(KEYS);
    await warm(apart.led, ...keys.slice(0, 20));
  });

  it('offered more than it can look up, it goes on looking up as much as it can', async () => {
    await warmAll();
    apart.feed.delay(apart.leaseMs * 2);
    apart.pool.delay(200);
    await expect.poll(leaseHeld, { timeout: 5_000 }).toBe(false);
    // At 400 ms for 64 of them, 160 a second; about twice as many are asked for.
    const beganMs = performance.now();
    const asked: Promise<{ late: boolean; status: number }>[] = [];
    const ask = async () => {
      const late = performance.now() - beganMs > VALIDATION_LIMIT_MS;
      const { status } = await apart.led.asHolder(keys[asked.length % KEYS] as string, '/validate');
      return { late, status };
    };
    const offering = setInterval(() => asked.push(ask()), 3);
    await sleep(VALIDATION_LIMIT_MS + OFFERED_MS);
    clearInterval(offering);
    // As soon as there is a queue: those who asked later than the first could have waited.
    const late = (await Promise.all(asked)).filter((answer) => answer.late);
    const good = late.filter(({ status }) => status === 200).length;
    console.log(`Of ${late.length} validations, more than can be looked up, ${good} were answered`);
    expect(good).toBeGreaterThan((160 * OFFERED_MS) / 1000 / 4);
  });
});

describe('While writes that wait for a lock hold every connection', () => {
  it('the lease is suspended, a revocation counts, and it all comes back when the lock goes', async () => {
    const busy = newOrganization();
    await apart.other.issueKey(busy);
    const doomed = await apart.other.issueKey(org);
    await warm(apart.led, doomed.key, ...keys.slice(0, 20));
    const lock = apart.other.sql(
      `begin; select * from key_service.organizations where clerk_org_id = '${busy}' for update; select pg_sleep(5); commit`,
    );
    const asleep =
      "select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep' and query like '%organizations where%'";
    await expect.poll(() => apart.other.sql(asleep)).toHaveLength(1);
    const watch = watchValidations(apart.led, doomed.key);
    let held = true;
    const writes = Array.from({ length: 30 }, async () => {
      while (held) await apart.led.asService('POST', '/internal/api-keys', { clerkOrgId: busy });
    });
    await expect.poll(leaseHeld, { timeout: 5_000 }).toBe(false);
    const { status } = await apart.other.asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
    expect(status).toBe(200);
    const answeredMs = performance.now();
    await lock;
    held = false;
    await Promise.all(writes);
    await expect.poll(leaseHeld, { timeout: 5_000 }).toBe(true);
    expect((await memoryOf(apart.led)).entries).toBeGreaterThanOrEqual(KEYS);
    await warm(apart.led, ...keys.slice(0, 20));
    const seen = await watch.stop();
    expect(acceptedAfter(seen, answeredMs + apart.leaseMs)).toEqual([]);
    for (const { tookMs } of seen) expect(tookMs).toBeLessThan(VALIDATION_LIMIT_MS);
    expect(answersOf(seen).filter((answer) => answer.startsWith('401'))).toEqual(['401 api_key_revoked']);
  });
});
