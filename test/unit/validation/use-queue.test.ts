import { beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { type TakenUses, UseQueue, type UseQueueOptions, type WantedUses } from '../../../src/validation/use-queue.ts';

/** A statement that is under way, to be ended by the test. */
interface Statement {
  wanted: WantedUses[];
  limitMs: number;
  end(taken: Record<string, number> | 'nothing', remaining?: number): Promise<void>;
  fail(): Promise<void>;
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const unavailable = expect.objectContaining({ code: 'database_unavailable' });
const overloaded = expect.objectContaining({ code: 'overloaded' });
const NO_REFILL = { refillAt: null, refillInSeconds: null };

let statements: Statement[];
let now: MockInstance<() => number>;
beforeEach(() => {
  statements = [];
  now = vi.spyOn(performance, 'now').mockReturnValue(1_000);
  return () => vi.restoreAllMocks();
});

function take(wanted: WantedUses[], limitMs: number): Promise<TakenUses[]> {
  return new Promise((resolve, reject) => {
    statements.push({
      wanted,
      limitMs,
      async end(taken, remaining = 0) {
        const granted = taken === 'nothing' ? {} : taken;
        resolve(wanted.map(({ id }) => ({ id, granted: granted[id] ?? 0, remaining, ...NO_REFILL })));
        await settle();
      },
      async fail() {
        reject(new Error('No connection'));
        await settle();
      },
    });
  });
}
const queueWith = (options: Partial<UseQueueOptions> = {}) =>
  new UseQueue({ take, atOnce: 1, together: 10, waiting: 100, ...options });
/** Settled or failed: failures come before the test looks at them. */
const outcome = (use: Promise<unknown>) => use.catch((error: unknown) => error);
const wantedOf = (index: number) => statements[index]?.wanted;

describe('UseQueue', () => {
  it('takes all uses that are asked for in one turn with one statement, those of one limit as a number', async () => {
    const queue = queueWith();
    const uses = ['a', 'b', 'a', 'c', 'a'].map((id) => queue.take(id, 750));
    await settle();
    expect(statements.map(({ wanted }) => wanted)).toEqual([
      [
        { id: 'a', uses: 3 },
        { id: 'b', uses: 1 },
        { id: 'c', uses: 1 },
      ],
    ]);
    await statements[0]?.end({ a: 3, b: 1, c: 1 }, 7);
    expect(await Promise.all(uses)).toEqual([9, 7, 8, 7, 7].map((remaining) => ({ granted: true, remaining })));
  });

  it('grants those who came first when there are fewer than are wanted', async () => {
    const queue = queueWith();
    const uses = ['a', 'a', 'a', 'b'].map((id) => queue.take(id, 750));
    await settle();
    await statements[0]?.end({ a: 2 });
    expect(await Promise.all(uses)).toEqual([
      { granted: true, remaining: 1 },
      { granted: true, remaining: 0 },
      { granted: false, refill: null },
      { granted: false, refill: null },
    ]);
  });

  it('has one statement of a limit under way at a time, and others beside it', async () => {
    const queue = queueWith({ atOnce: 2 });
    const first = queue.take('a', 750);
    await settle();
    const later = [queue.take('a', 750), queue.take('b', 750), queue.take('a', 750)];
    await settle();
    expect(statements.map(({ wanted }) => wanted)).toEqual([[{ id: 'a', uses: 1 }], [{ id: 'b', uses: 1 }]]);
    await statements[1]?.end({ b: 1 });
    expect(statements).toHaveLength(2);
    await statements[0]?.end({ a: 1 }, 5);
    expect(wantedOf(2)).toEqual([{ id: 'a', uses: 2 }]);
    await statements[2]?.end({ a: 2 }, 3);
    expect(await Promise.all([first, ...later])).toEqual(
      [5, 4, 0, 3].map((remaining) => ({ granted: true, remaining })),
    );
  });

  it('never has more statements under way, or limits in one, than it was told', async () => {
    const queue = queueWith({ atOnce: 2, together: 3 });
    const uses = Array.from({ length: 10 }, (_, index) => queue.take(`limit-${index}`, 750));
    await settle();
    expect(statements.map(({ wanted }) => wanted.length)).toEqual([3, 3]);
    for (let next = 0; next < 4; next += 1) await statements[next]?.end('nothing');
    expect(statements.map(({ wanted }) => wanted.length)).toEqual([3, 3, 3, 1]);
    expect(await Promise.all(uses)).toHaveLength(10);
  });

  it('tries nothing again whose statement failed, and grants none of it', async () => {
    const queue = queueWith();
    const uses = ['a', 'a', 'b'].map((id) => outcome(queue.take(id, 750)));
    await settle();
    await statements[0]?.fail();
    expect(await Promise.all(uses)).toEqual([unavailable, unavailable, unavailable]);
    expect(statements).toHaveLength(1);
  });

  it('does not know of a use of which the statement says nothing', async () => {
    const use = new UseQueue({ take: async () => [], atOnce: 1, together: 1, waiting: 1 }).take('a', 750);
    await expect(use).rejects.toEqual(unavailable);
  });

  it('does not send what has waited for a third of its time, and goes on with the others', async () => {
    const queue = queueWith();
    const first = queue.take('a', 750);
    await settle();
    const late = outcome(queue.take('b', 750));
    now.mockReturnValue(1_200);
    const inTime = queue.take('c', 750);
    now.mockReturnValue(1_250);
    await statements[0]?.end({ a: 1 });
    expect(await late).toEqual(overloaded);
    expect(wantedOf(1)).toEqual([{ id: 'c', uses: 1 }]);
    expect(statements[1]?.limitMs).toBe(700);
    await statements[1]?.end({ c: 1 });
    expect(await Promise.all([first, inTime])).toHaveLength(2);
  });

  it('says that the database is away, and not that it is busy, where statements fail', async () => {
    const queue = queueWith();
    const first = outcome(queue.take('a', 750));
    await settle();
    const late = outcome(queue.take('b', 750));
    now.mockReturnValue(1_250);
    await statements[0]?.fail();
    expect(await first).toEqual(unavailable);
    expect(await late).toEqual(unavailable);
  });

  it('gives up when its time is over, though the statement goes on, and frees nobody’s place for it', async () => {
    now.mockRestore();
    const queue = queueWith();
    const use = queue.take('a', 30);
    await expect(use).rejects.toEqual(unavailable);
    expect(statements).toHaveLength(1);
    const next = queue.take('a', 750);
    await settle();
    expect(statements).toHaveLength(1);
    await statements[0]?.end({ a: 1 });
    await statements[1]?.end({ a: 1 });
    expect(await next).toEqual({ granted: true, remaining: 0 });
  });

  it('refuses at once when too many wait', async () => {
    const queue = queueWith({ waiting: 2 });
    const waiting = [queue.take('a', 750), queue.take('a', 750)];
    await expect(queue.take('b', 750)).rejects.toEqual(overloaded);
    await settle();
    await statements[0]?.end({ a: 2 });
    expect(await Promise.all(waiting)).toHaveLength(2);
    const next = queue.take('b', 750);
    await settle();
    await statements[1]?.end({ b: 1 });
    expect(await next).toEqual({ granted: true, remaining: 0 });
  });

  it('says when there will be more, in a second at least', async () => {
    const at = new Date('2026-12-01');
    for (const [refillInSeconds, inSeconds] of [
      [90, 90],
      [0, 1],
      [-5, 1],
    ] as const) {
      const taken = async () => [{ id: 'a', granted: 0, remaining: 0, refillAt: at, refillInSeconds }];
      const use = new UseQueue({ take: taken, atOnce: 1, together: 1, waiting: 1 }).take('a', 750);
      expect(await use).toEqual({ granted: false, refill: { at, inSeconds } });
    }
  });
});
