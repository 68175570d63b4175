import { beforeEach, describe, expect, it, vi } from 'vitest';
import { LookUpBudget } from '../../../src/cache/look-up-budget.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('LookUpBudget', () => {
  let ends: (() => void)[];
  let running: number;
  beforeEach(() => {
    ends = [];
    running = 0;
    return () => vi.restoreAllMocks();
  });
  const lookUp = async () => {
    running += 1;
    await new Promise<void>((resolve) => ends.push(resolve));
    running -= 1;
    return 'found';
  };
  const endOne = () => ends.shift()?.();
  const overloaded = expect.objectContaining({ code: 'overloaded' });

  it('runs no more look-ups at once than it was told, and every one in the end', async () => {
    const budget = new LookUpBudget({ atOnce: 3, waiting: 10, patienceMs: 60_000 });
    const answers = Array.from({ length: 13 }, () => budget.run(lookUp));
    for (let left = 13; left > 0; left -= 1) {
      await settle();
      expect(running).toBe(Math.min(3, left));
      endOne();
    }
    expect(await Promise.all(answers)).toEqual(Array(13).fill('found'));
  });

  it('refuses at once when too many wait, and takes one again as soon as one of them had its turn', async () => {
    const budget = new LookUpBudget({ atOnce: 1, waiting: 2, patienceMs: 60_000 });
    const answers = Array.from({ length: 3 }, () => budget.run(lookUp));
    await expect(budget.run(lookUp)).rejects.toEqual(overloaded);
    expect(running).toBe(1);
    endOne();
    await settle();
    answers.push(budget.run(lookUp));
    await expect(budget.run(lookUp)).rejects.toEqual(overloaded);
    for (let left = 3; left > 0; left -= 1) {
      endOne();
      await settle();
    }
    expect(await Promise.all(answers)).toEqual(Array(4).fill('found'));
  });

  it('does not look up what nobody waits for any more when its turn comes', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1_000);
    const budget = new LookUpBudget({ atOnce: 1, waiting: 10, patienceMs: 750 });
    const first = budget.run(lookUp);
    const late = budget.run(lookUp);
    now.mockReturnValue(1_500);
    const inTime = budget.run(lookUp);
    const outcomes = Promise.allSettled([first, late, inTime]);
    await settle();
    now.mockReturnValue(1_750);
    endOne();
    await settle();
    expect(running).toBe(1);
    endOne();
    expect(await outcomes).toEqual([
      { status: 'fulfilled', value: 'found' },
      { status: 'rejected', reason: overloaded },
      { status: 'fulfilled', value: 'found' },
    ]);
  });

  it('gives the place of a look-up that failed to the next, and its failure to who asked', async () => {
    const budget = new LookUpBudget({ atOnce: 1, waiting: 1, patienceMs: 60_000 });
    const failing = budget.run(() => Promise.reject(new Error('gone')));
    const next = budget.run(async () => 'found');
    await expect(failing).rejects.toThrow('gone');
    expect(await next).toBe('found');
  });

  it('gives the place of a look-up that throws at once to the next', async () => {
    const budget = new LookUpBudget({ atOnce: 1, waiting: 1, patienceMs: 60_000 });
    const failing = budget.run(() => {
      throw new Error('at once');
    });
    const next = budget.run(async () => 'found');
    await expect(failing).rejects.toThrow('at once');
    expect(await next).toBe('found');
  });
});
