import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey, hashKey } from '../../src/key-format.ts';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { warm } from '../support/memory.ts';
import { metricsOf } from '../support/metrics.ts';
import { callsWith, newServiceCaller } from '../support/service-caller.ts';
import { answersOf, watchValidations } from '../support/validation-watch.ts';

/** Well-formed, with a checksum that is right. */
const UNKNOWN_KEYS = 700;
/** Names no organisation: whose key is good is told so, and the database is asked for nothing else. */
const PATH = '/internal/keys';
const LET_IN = 400;

let apart: LedApart;
let apiKey: string;
let serviceKey: string;
beforeAll(async () => {
  // Client, replicas and network share this process: what it cannot keep up with must not end the lease.
  apart = await startLedApart({ CACHE_LEASE_MS: '10000' });
  apiKey = (await apart.other.issueKey(newOrganization())).key;
  serviceKey = (await newServiceCaller(apart.other, { permissions: ['provider-keys:read'] })).key;
});
afterAll(() => apart.stop());

const remembered = async () =>
  (await metricsOf(apart.led)).value('key_service_cache_entries', { cache: 'service-keys' }) ?? 0;

describe('A flood of well-formed service keys that nobody issued, on a slow database', () => {
  it('leaves known callers answered, is answered 401 or 503, and costs each key one look-up', {
    timeout: 60_000,
  }, async () => {
    const known = callsWith(apart.led, serviceKey);
    await warm(apart.led, apiKey);
    expect((await known('GET', PATH)).status).toBe(LET_IN);
    const before = await remembered();
    const sent: Buffer[] = [];
    apart.pool.onSent = (bytes) => sent.push(bytes);
    // A look-up has 350 ms, and what comes later is not remembered.
    apart.pool.delay(75);
    const flood = Array.from({ length: UNKNOWN_KEYS }, () => generateKey('ks', 'service').key);
    const watch = watchValidations(apart.led, apiKey, { everyMs: 50 });
    const answers: { key: string; status: number; code: string; retryAfter: string | null }[] = [];
    // Each of them twice, more at once than can be looked up in the time that one waits.
    const rest = [...flood, ...flood];
    let flooding = true;
    const attackers = Array.from({ length: 300 }, async () => {
      for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
        const { status, body, headers } = await callsWith(apart.led, next)('GET', PATH);
        answers.push({ key: next, status, code: body.code, retryAfter: headers.get('retry-after') });
      }
    });
    const ofKnown: number[] = [];
    const user = (async () => {
      while (flooding) ofKnown.push((await known('GET', PATH)).status);
    })();
    await Promise.all(attackers);
    flooding = false;
    await user;
    expect(new Set(ofKnown)).toEqual(new Set([LET_IN]));
    expect(answersOf(await watch.stop())).toEqual(['200']);

    expect(answers).toHaveLength(2 * UNKNOWN_KEYS);
    for (const { status, code, retryAfter } of answers) {
      if (status === 401) expect(code).toBe('service_key_invalid');
      // A look-up that was let in may still take too long, on a machine that is busy with all this.
      else
        expect([status, code, retryAfter]).toEqual([
          503,
          expect.stringMatching(/^(overloaded|database_unavailable)$/),
          '1',
        ]);
    }
    expect(answers.filter(({ code }) => code === 'overloaded').length).toBeGreaterThan(0);

    // Counted on the wire: the hash of a key, in hexadecimal, is in every look-up for it.
    const wire = Buffer.concat(sent).toString('latin1');
    const lookUps = flood.map((key) => wire.split(hashKey(key).toString('hex')).length - 1);
    // One that took longer than its limit, which its caller was told, is not remembered.
    const late = answers.filter(({ code }) => code === 'database_unavailable').map(({ key }) => key);
    const again = flood.filter((key, index) => (lookUps[index] ?? 0) > 1 && !late.includes(key));
    expect(again).toEqual([]);
    // What is remembered of them is what was looked up, and no more.
    const lookedUp = lookUps.filter((count) => count > 0).length;
    const remaining = (await remembered()) - before;
    expect(remaining).toBeGreaterThanOrEqual(lookedUp - late.length);
    expect(remaining).toBeLessThanOrEqual(lookedUp);
    console.log(`${ofKnown.length} requests of a known service; ${lookedUp} look-ups for ${answers.length} others`);
  });
});
