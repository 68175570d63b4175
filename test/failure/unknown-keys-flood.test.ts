import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey, hashKey } from '../../src/key-format.ts';
import { newOrganization } from '../support/client.ts';
import { type LedApart, startLedApart } from '../support/led-apart.ts';
import { memoryOf, warm } from '../support/memory.ts';
import { answersOf, watchValidations } from '../support/validation-watch.ts';

/** Keys that nobody issued, with a checksum that is right. */
const UNKNOWN_KEYS = 700;
const PREFIX = 'ks';

let apart: LedApart;
const org = newOrganization();
let known: string[];
beforeAll(async () => {
  // Client and network share this process: what it cannot keep up with must not end the lease.
  apart = await startLedApart({ CACHE_LEASE_MS: '10000', DATABASE_POOL_MAX: '4' });
  known = [];
  while (known.length < 10) known.push((await apart.other.issueKey(org)).key);
});
afterAll(() => apart.stop());

describe('A flood of well-formed keys that nobody issued, on a slow database', () => {
  it('leaves every known key answered, is answered 401 or 503, and costs each of them one look-up', {
    timeout: 60_000,
  }, async () => {
    expect(known[0]).toMatch(new RegExp(`^${PREFIX}_live_`));
    await warm(apart.led, ...known);
    const before = await memoryOf(apart.led);
    const sent: Buffer[] = [];
    apart.pool.onSent = (bytes) => sent.push(bytes);
    apart.pool.delay(100);
    const flood = Array.from({ length: UNKNOWN_KEYS }, () => generateKey(PREFIX, 'live'));
    const watches = known.map((key) => watchValidations(apart.led, key, { everyMs: 50 }));
    const answers = new Map<string, { status: number; code: string; retryAfter: string | null }[]>();
    // Each of them twice, more at once than can be looked up in the time that one waits.
    const rest = [...flood, ...flood];
    const attackers = Array.from({ length: 300 }, async () => {
      for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
        const { status, body, headers } = await apart.led.asHolder(next.key, '/validate');
        const answer = { status, code: body.code, retryAfter: headers.get('retry-after') };
        answers.set(next.key, [...(answers.get(next.key) ?? []), answer]);
      }
    });
    await Promise.all(attackers);
    const ofKnown = (await Promise.all(watches.map((watch) => watch.stop()))).flat();
    expect(answersOf(ofKnown)).toEqual(['200']);

    const all = [...answers.values()].flat();
    expect(all).toHaveLength(2 * UNKNOWN_KEYS);
    const shed = all.filter(({ code }) => code === 'overloaded');
    for (const { status, code, retryAfter } of all) {
      if (status === 401) expect(code).toBe('api_key_invalid');
      // A look-up that was let in may still take too long, on a machine that is busy with all this.
      else
        expect([status, code, retryAfter]).toEqual([
          503,
          expect.stringMatching(/^(overloaded|database_unavailable)$/),
          '1',
        ]);
    }
    expect(shed.length).toBeGreaterThan(100);

    // Counted on the wire: the hash of a key, in hexadecimal, is in every look-up for it.
    const wire = Buffer.concat(sent).toString('latin1');
    const lookUps = flood.map(({ key }) => wire.split(hashKey(key).toString('hex')).length - 1);
    expect(Math.max(...lookUps)).toBe(1);
    // What is remembered of them is what was looked up, and no more.
    const lookedUp = lookUps.filter((count) => count > 0).length;
    expect(lookedUp).toBeGreaterThan(50);
    expect((await memoryOf(apart.led)).entries - before.entries).toBe(lookedUp);
    console.log(
      `${ofKnown.length} validations of known keys; ${lookedUp} look-ups for ${all.length} others, ${shed.length} shed`,
    );
  });
});
