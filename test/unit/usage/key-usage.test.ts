import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KeyUsage, type UsageBatch, type WriteUsage } from '../../../src/usage/key-usage.ts';
import { type Count, HOUR_MS, type Outcome } from '../../../src/usage/key-use.ts';

const HOUR = 500_000;
const at = (hour: number, ms = 0) => hour * HOUR_MS + ms;
const keyOf = (id: string) => ({ id, organizationId: `organization-of-${id}` });
const ids = (count: number) => Array.from({ length: count }, (_, index) => `key-${index}`);

const write = vi.fn<WriteUsage>();
const onFailure = vi.fn();
const onUncounted = vi.fn();
let usage: KeyUsage;
beforeEach(() => {
  for (const mock of [write, onFailure, onUncounted]) mock.mockReset();
  write.mockResolvedValue();
  usage = new KeyUsage({ write, onFailure, onUncounted });
});
const batches = (): UsageBatch[] => write.mock.calls.map(([batch]) => batch);
const written = (): Count[] => batches().flatMap(({ counts }) => counts);
const sum = (counts: Count[]) => counts.reduce((total, { count }) => total + count, 0);

describe('KeyUsage', () => {
  it('writes nothing until it is flushed, then how often each key came to what, and when it was last valid', async () => {
    usage.record(keyOf('a'), 'valid', at(HOUR, 1));
    usage.record(keyOf('a'), 'valid', at(HOUR, 3));
    usage.record(keyOf('a'), 'valid', at(HOUR, 2));
    usage.record(keyOf('a'), 'api_key_expired', at(HOUR, 4));
    usage.record(keyOf('b'), 'api_key_revoked', at(HOUR, 5));
    expect(write).not.toHaveBeenCalled();
    await usage.flush();
    const of = (id: string) => ({ apiKeyId: id, organizationId: `organization-of-${id}`, hour: HOUR });
    expect(batches()).toEqual([
      {
        writer: expect.stringMatching(/^[0-9a-f-]{36}$/),
        number: 1,
        counts: [
          { ...of('a'), outcome: 'valid', count: 3 },
          { ...of('a'), outcome: 'api_key_expired', count: 1 },
          { ...of('b'), outcome: 'api_key_revoked', count: 1 },
        ],
        lastUsed: [{ id: 'a', atMs: at(HOUR, 3) }],
      },
    ]);
  });

  it('writes nothing when nothing was used, and nothing twice', async () => {
    await usage.flush();
    usage.record(keyOf('a'), 'valid', at(HOUR));
    await usage.flush();
    await usage.flush();
    expect(sum(written())).toBe(1);
    expect(write).toHaveBeenCalledTimes(1);
  });

  it('counts an hour by its first and its last millisecond, also when a clock is set back', async () => {
    for (const atMs of [at(HOUR, HOUR_MS - 1), at(HOUR + 1), at(HOUR, 5), at(HOUR + 1, 5), at(HOUR - 1)]) {
      usage.record(keyOf('a'), 'valid', atMs);
    }
    await usage.flush();
    expect(written().map(({ hour, count }) => [hour, count])).toEqual(
      expect.arrayContaining([
        [HOUR - 1, 1],
        [HOUR, 2],
        [HOUR + 1, 2],
      ]),
    );
    expect(written()).toHaveLength(3);
    expect(batches()[0]?.lastUsed).toEqual([{ id: 'a', atMs: at(HOUR + 1, 5) }]);
  });

  it('writes in batches of about 1,000, each with the next number and all of the same writer', async () => {
    for (const id of ids(2_400)) usage.record(keyOf(id), 'valid', at(HOUR));
    await usage.flush();
    expect(batches().map(({ number, counts }) => [number, counts.length])).toEqual([
      [1, 1_000],
      [2, 1_000],
      [3, 400],
    ]);
    expect(new Set(batches().map(({ writer }) => writer)).size).toBe(1);
    expect(new Set(written().map(({ apiKeyId }) => apiKeyId)).size).toBe(2_400);
  });

  it('has a writer of its own in every process', async () => {
    const other = new KeyUsage({ write, onFailure, onUncounted });
    for (const each of [usage, other]) {
      each.record(keyOf('a'), 'valid', at(HOUR));
      await each.flush();
    }
    expect(new Set(batches().map(({ writer }) => writer)).size).toBe(2);
  });

  it('writes a batch that failed again as it was, whatever was used meanwhile, and before everything else', async () => {
    const failure = new Error('no database');
    write.mockRejectedValueOnce(failure);
    usage.record(keyOf('a'), 'valid', at(HOUR));
    await usage.flush();
    expect(onFailure.mock.calls).toEqual([[failure, { held: 0, uncounted: 0 }]]);
    usage.record(keyOf('a'), 'valid', at(HOUR, 9));
    await usage.flush();
    const [first, again, next] = batches();
    expect(again).toEqual(first);
    expect(next).toMatchObject({ number: 2, counts: [{ count: 1 }], lastUsed: [{ atMs: at(HOUR, 9) }] });
    expect(write).toHaveBeenCalledTimes(3);
  });

  it('keeps what is behind a batch that failed, gathered with what is used later', async () => {
    for (const id of ids(1_500)) usage.record(keyOf(id), 'valid', at(HOUR));
    write.mockRejectedValueOnce(new Error('no database'));
    await usage.flush();
    expect(onFailure.mock.lastCall?.[1]).toEqual({ held: 500, uncounted: 0 });
    usage.record(keyOf('key-1499'), 'valid', at(HOUR));
    write.mockClear();
    await usage.flush();
    expect(batches().map(({ number, counts }) => [number, counts.length])).toEqual([
      [1, 1_000],
      [2, 500],
    ]);
    expect(written().find(({ apiKeyId }) => apiKeyId === 'key-1499')?.count).toBe(2);
  });

  it('leaves what is used during a flush to the next one', async () => {
    write.mockImplementationOnce(async () => usage.record(keyOf('a'), 'valid', at(HOUR)));
    usage.record(keyOf('a'), 'valid', at(HOUR));
    await usage.flush();
    expect(write).toHaveBeenCalledTimes(1);
    await usage.flush();
    expect(sum(written())).toBe(2);
  });

  it('holds 200,000 keys at most: those go on being counted, others are told of as not counted', async () => {
    write.mockRejectedValue(new Error('no database'));
    for (const id of ids(200_000)) usage.record(keyOf(id), 'valid', at(HOUR));
    expect(onUncounted).not.toHaveBeenCalled();
    usage.record(keyOf('one more'), 'valid', at(HOUR));
    usage.record(keyOf('key-7'), 'valid', at(HOUR));
    // A key in another hour takes room as well.
    usage.record(keyOf('key-7'), 'valid', at(HOUR + 1));
    expect(onUncounted).toHaveBeenCalledTimes(2);
    await usage.flush();
    expect(onFailure.mock.calls.reduce((total, [, { uncounted }]) => total + uncounted, 0)).toBe(2);
    write.mockReset().mockResolvedValue();
    await usage.flush();
    expect(sum(written())).toBe(200_001);
    usage.record(keyOf('one more'), 'valid', at(HOUR));
    await usage.flush();
    expect(sum(written())).toBe(200_002);
  });

  it('does not wait for the interval when a great many keys are used', async () => {
    for (const id of ids(49_999)) usage.record(keyOf(id), 'valid', at(HOUR));
    await vi.waitFor(() => expect(write).not.toHaveBeenCalled());
    usage.record(keyOf('the last'), 'valid', at(HOUR));
    await vi.waitFor(() => expect(sum(written())).toBe(50_000));
  });

  it('adds up to what was recorded, whatever fails, in one batch for each key and hour and number', async () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          does: fc.constant('record' as const),
          id: fc.constantFrom('a', 'b', 'c'),
          outcome: fc.constantFrom<Outcome>('valid', 'api_key_revoked', 'insufficient_scope'),
          hour: fc.integer({ min: HOUR, max: HOUR + 3 }),
        }),
      },
      // `unanswered`: it was written, and nobody was told.
      {
        weight: 3,
        arbitrary: fc.record({ does: fc.constantFrom('flush' as const, 'refuse' as const, 'unanswered' as const) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const stored = new Map<string, number>();
        const model = new Map<string, number>();
        const add = (to: Map<string, number>, name: string, count: number) => {
          to.set(name, (to.get(name) ?? 0) + count);
        };
        let lastNumber = 0;
        let next: 'flush' | 'refuse' | 'unanswered' = 'flush';
        // As the database does it: a batch with a number that it has is not written again.
        const tried = new KeyUsage({
          async write({ number, counts }) {
            const names = counts.map(({ apiKeyId, hour, outcome }) => `${apiKeyId} ${hour} ${outcome}`);
            expect(new Set(names).size).toBe(names.length);
            if (next === 'refuse') throw new Error('refused');
            if (number > lastNumber)
              for (const [index, { count }] of counts.entries()) add(stored, names[index] ?? '', count);
            lastNumber = Math.max(lastNumber, number);
            if (next === 'unanswered') throw new Error('the connection was lost');
          },
          onFailure() {},
          onUncounted,
        });
        for (const doing of steps) {
          if (doing.does === 'record') {
            tried.record(keyOf(doing.id), doing.outcome, at(doing.hour));
            add(model, `${doing.id} ${doing.hour} ${doing.outcome}`, 1);
          } else {
            next = doing.does;
            await tried.flush();
          }
        }
        next = 'flush';
        await tried.flush();
        expect(stored).toEqual(model);
      }),
    );
  });
});

describe('KeyUsage by the clock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('flushes at each interval, and what is left when it is stopped', async () => {
    usage.start(1_000);
    usage.record(keyOf('a'), 'valid', at(HOUR));
    await vi.advanceTimersByTimeAsync(999);
    expect(write).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(sum(written())).toBe(1);
    usage.record(keyOf('a'), 'valid', at(HOUR));
    await usage.stop(1_000);
    expect(sum(written())).toBe(2);
    usage.record(keyOf('a'), 'valid', at(HOUR));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sum(written())).toBe(2);
  });
});
