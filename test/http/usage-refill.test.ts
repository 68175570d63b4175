import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { scriptedClock } from '../support/scripted-clock.ts';
import { startService, type TestService } from '../support/service.ts';

/** Of the property; a failure names the seed that finds it again. */
const RUNS = 40;

const clock = scriptedClock();
let service: TestService;
beforeAll(async () => {
  service = await startService({ leadDatabase: clock.lead });
});
afterAll(() => service.stop());

type Interval = 'day' | 'month';
interface Refill {
  amount: number;
  interval: Interval;
}
interface Key {
  org: string;
  id: string;
  key: string;
}

async function issued(instant: string, limit: { remainingUses: number; refill: Refill | null }): Promise<Key> {
  await clock.set(new Date(instant));
  const org = newOrganization();
  const { id, key } = await service.issueKey(org, limit);
  return { org, id, key };
}
const update = ({ id, org }: Key, change: Record<string, unknown>) =>
  service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, ...change });
const shownOf = async ({ id, org }: Key) =>
  (await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`)).body.remainingUses;
/** What is left after a use, or in how many seconds there will be more; null: never. */
async function use({ key }: Key): Promise<{ left: number } | { again: number | null }> {
  const { status, body, headers } = await service.asHolder(key, '/validate');
  if (status === 200) return { left: body.apiKey.remainingUses };
  expect(body.code).toBe('usage_exceeded');
  const seconds = headers.get('retry-after');
  return { again: seconds === null ? null : Number(seconds) };
}

describe('A key that is filled up', () => {
  it.each<[interval: Interval, from: string, before: string, at: string]>([
    ['day', '2026-11-23T10:00:00Z', '2026-11-23T23:59:59.999Z', '2026-11-24T00:00:00Z'],
    ['day', '2026-12-31T23:59:59.998Z', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'],
    ['day', '2028-02-28T12:00:00Z', '2028-02-28T23:59:59.999Z', '2028-02-29T00:00:00Z'],
    ['day', '2028-02-29T00:00:00Z', '2028-02-29T23:59:59.999Z', '2028-03-01T00:00:00Z'],
    ['day', '2027-02-28T00:00:00Z', '2027-02-28T23:59:59.999Z', '2027-03-01T00:00:00Z'],
    ['month', '2027-01-31T23:00:00Z', '2027-01-31T23:59:59.999Z', '2027-02-01T00:00:00Z'],
    ['month', '2027-01-01T00:00:00Z', '2027-01-31T23:59:59.999Z', '2027-02-01T00:00:00Z'],
    ['month', '2028-02-01T00:00:00Z', '2028-02-29T23:59:59.999Z', '2028-03-01T00:00:00Z'],
    ['month', '2026-12-15T00:00:00Z', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'],
  ])('each %s, from %s, is not so at %s and is at %s, by the calendar in UTC', async (interval, from, before, at) => {
    const key = await issued(from, { remainingUses: 1, refill: { amount: 2, interval } });
    expect(await use(key)).toEqual({ left: 0 });
    await clock.set(new Date(before));
    expect(await use(key)).toEqual({ again: 1 });
    expect(await shownOf(key)).toBe(0);
    await clock.set(new Date(at));
    expect(await shownOf(key)).toBe(2);
    expect([await use(key), await use(key)]).toEqual([{ left: 1 }, { left: 0 }]);
    expect(await use(key)).not.toHaveProperty('left');
  });

  it('has the amount and not more, however long nobody used it, and loses what was more', async () => {
    const rare = await issued('2026-01-10T00:00:00Z', { remainingUses: 1, refill: { amount: 3, interval: 'month' } });
    const rich = await issued('2026-01-10T00:00:00Z', { remainingUses: 500, refill: { amount: 3, interval: 'month' } });
    await clock.set(new Date('2031-07-04T00:00:00Z'));
    for (const key of [rare, rich]) {
      expect(await shownOf(key)).toBe(3);
      expect([await use(key), await use(key), await use(key)]).toEqual([{ left: 2 }, { left: 1 }, { left: 0 }]);
      expect(await use(key)).toEqual({ again: 28 * 24 * 60 * 60 });
    }
  });

  it('goes by its own calendar in whatever time zone sessions are', async () => {
    await service.sql(
      "do $$ begin execute format('alter database %I set timezone = %L', current_database(), 'Asia/Tokyo'); end $$",
    );
    const abroad = await startService({ beside: service });
    await clock.set(new Date('2027-03-14T12:00:00Z'));
    const org = newOrganization();
    const { key } = await abroad.issueKey(org, { remainingUses: 0, refill: { amount: 1, interval: 'day' } });
    const { headers } = await abroad.asHolder(key, '/validate');
    expect(headers.get('retry-after')).toBe(String(12 * 60 * 60));
    await abroad.stop();
  });

  it('by a PATCH keeps what it has, and the next refill is the next one from then', async () => {
    const key = await issued('2026-11-23T10:00:00Z', { remainingUses: 0, refill: { amount: 5, interval: 'day' } });
    // The day has gone by, and nobody has used what it brought: it is there, and not brought twice.
    await clock.set(new Date('2026-11-24T10:00:00Z'));
    await update(key, { refill: { amount: 9, interval: 'month' } });
    expect(await use(key)).toEqual({ left: 4 });
    await clock.set(new Date('2026-11-25T10:00:00Z'));
    expect(await use(key)).toEqual({ left: 3 });
    await update(key, { remainingUses: 1 });
    expect(await use(key)).toEqual({ left: 0 });
    await clock.set(new Date('2026-12-01T00:00:00Z'));
    expect(await use(key)).toEqual({ left: 8 });
  });

  it('has what a PATCH sets just after a refill that nobody used', async () => {
    const key = await issued('2026-11-23T10:00:00Z', { remainingUses: 0, refill: { amount: 5, interval: 'day' } });
    await clock.set(new Date('2026-11-24T10:00:00Z'));
    await update(key, { remainingUses: 1 });
    expect(await use(key)).toEqual({ left: 0 });
    expect(await use(key)).toEqual({ again: 14 * 60 * 60 });
  });

  it('is not filled up twice by a clock that was set back', async () => {
    const key = await issued('2026-11-23T23:00:00Z', { remainingUses: 0, refill: { amount: 1, interval: 'day' } });
    await clock.set(new Date('2026-11-24T00:00:01Z'));
    expect(await use(key)).toEqual({ left: 0 });
    await clock.set(new Date('2026-11-23T23:59:00Z'));
    expect(await use(key)).toEqual({ again: 24 * 60 * 60 + 60 });
    await clock.set(new Date('2026-11-24T00:00:02Z'));
    expect(await use(key)).not.toHaveProperty('left');
  });
});

/** The rule, by JavaScript's calendar. */
class ModelLimit {
  remaining: number;
  refill: Refill | null;
  #refillAt: number;

  constructor(nowMs: number, remaining: number, refill: Refill | null) {
    this.remaining = remaining;
    this.refill = refill;
    this.#refillAt = nextOf(refill, nowMs);
  }

  fillUp(nowMs: number): void {
    if (this.refill === null || nowMs < this.#refillAt) return;
    this.remaining = this.refill.amount;
    this.#refillAt = nextOf(this.refill, nowMs);
  }

  use(nowMs: number) {
    this.fillUp(nowMs);
    if (this.remaining > 0) {
      this.remaining -= 1;
      return { left: this.remaining };
    }
    return { again: this.refill === null ? null : Math.max(1, Math.ceil((this.#refillAt - nowMs) / 1_000)) };
  }
}

function nextOf(refill: Refill | null, nowMs: number): number {
  const now = new Date(nowMs);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  return refill?.interval === 'day' ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1, 1);
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const refill = fc.option(
  fc.record({ amount: fc.integer({ min: 1, max: 4 }), interval: fc.constantFrom<Interval[]>('day', 'month') }),
);
const start = fc.date({ min: new Date('2026-01-01'), max: new Date('2029-12-31'), noInvalidDate: true });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ does: 'use' } as const) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('wait' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: DAY_MS }), fc.integer({ min: DAY_MS, max: 500 * DAY_MS })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('fill' as const), refill }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('set' as const), remaining: fc.nat(4) }) },
);

describe('Whatever is done to a key with a usage limit, at whatever time', () => {
  it('it has as many uses as the rule says', { timeout: 120_000 }, async () => {
    const steps = fc.array(step, { minLength: 5, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(start, fc.nat(4), refill, steps, async (begin, remaining, first, all) => {
        const key = await issued(begin.toISOString(), { remainingUses: remaining, refill: first });
        let nowMs = begin.getTime();
        let model = new ModelLimit(nowMs, remaining, first);
        for (const each of all) {
          if (each.does === 'use') expect(await use(key)).toEqual(model.use(nowMs));
          else if (each.does === 'wait') {
            nowMs += each.ms;
            await clock.set(new Date(nowMs));
          } else {
            model.fillUp(nowMs);
            const change = each.does === 'set' ? { remainingUses: each.remaining } : { refill: each.refill };
            const { status } = await update(key, change);
            expect(status).toBe(200);
            model = new ModelLimit(
              nowMs,
              each.does === 'set' ? each.remaining : model.remaining,
              each.does === 'set' ? model.refill : each.refill,
            );
          }
        }
        model.fillUp(nowMs);
        expect(await shownOf(key)).toBe(model.remaining);
      }),
      { numRuns: RUNS },
    );
  });
});
