import { beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { LookUpQueue, type LookUpQueueOptions } from '../../../src/cache/look-up-queue.ts';

type Options = LookUpQueueOptions<string, string>;

const settle = () => new Promise((resolve) => setImmediate(resolve));
const names = (count: number) => Array.from({ length: count }, (_, index) => `key-${index}`);
const foundOf = (keys: string[]) => keys.map((key) => `found ${key}`);
const overloaded = expect.objectContaining({ code: 'overloaded' });

let asked: string[][];
let ends: ((failure?: Error) => void)[];
let now: MockInstance<() => number>;
beforeEach(() => {
  asked = [];
  ends = [];
  now = vi.spyOn(performance, 'now').mockReturnValue(1_000);
  return () => vi.restoreAllMocks();
});

async function lookUp(keys: string[]): Promise<string[]> {
  asked.push(keys);
  await new Promise<void>((resolve, reject) => ends.push((failure) => (failure ? reject(failure) : resolve())));
  return foundOf(keys);
}
const queueWith = (options: Partial<Options> = {}) =>
  new LookUpQueue({ lookUp, atOnce: 1, together: 4, waiting: 10, patienceMs: 250, ...options });
async function endOne(failure?: Error) {
  ends.shift()?.(failure);
  await settle();
}
async function endAll() {
  while (ends.length > 0) await endOne();
}

describe('LookUpQueue', () => {
  it('looks up at once and alone what comes when there is a turn to be had', async () => {
    const queue = queueWith({ atOnce: 3 });
    const answers = names(3).map((key) => queue.find(key));
    expect(asked).toEqual([['key-0'], ['key-1'], ['key-2']]);
    await endAll();
    expect(await Promise.all(answers)).toEqual(foundOf(names(3)));
  });

  it('looks up together what had to wait, and answers each with its own', async () => {
    const queue = queueWith();
    const answers = names(8).map((key) => queue.find(key));
    await endAll();
    expect(asked).toEqual([['key-0'], ['key-1', 'key-2', 'key-3', 'key-4'], ['key-5', 'key-6', 'key-7']]);
    expect(await Promise.all(answers)).toEqual(foundOf(names(8)));
  });

  it('never runs more look-ups at once than it was told', async () => {
    const queue = queueWith({ atOnce: 2, together: 1 });
    const answers = names(9).map((key) => queue.find(key));
    for (let left = 9; left > 0; left -= 1) {
      expect(ends).toHaveLength(Math.min(2, left));
      await endOne();
    }
    expect(await Promise.all(answers)).toEqual(foundOf(names(9)));
  });

  it('never lets a key join a look-up that has begun: that may be older than a change its asker knows of', async () => {
    const queue = queueWith();
    const answers = [queue.find('key'), queue.find('key')];
    await endAll();
    expect(asked).toEqual([['key'], ['key']]);
    await Promise.all(answers);
  });

  it('refuses at once when too many wait, and takes one again as soon as some had their turn', async () => {
    const queue = queueWith();
    const answers = names(11).map((key) => queue.find(key));
    await expect(queue.find('one too many')).rejects.toEqual(overloaded);
    await endOne();
    answers.push(queue.find('one more'));
    await endAll();
    expect((await Promise.all(answers)).at(-1)).toBe('found one more');
  });

  it('does not look up what nobody waits for any more, but those who came later', async () => {
    const queue = queueWith();
    const first = queue.find('first');
    const late = queue.find('late');
    now.mockReturnValue(1_100);
    const inTime = queue.find('in time');
    const refused = expect(late).rejects.toEqual(overloaded);
    now.mockReturnValue(1_250);
    await endAll();
    await refused;
    expect(asked).toEqual([['first'], ['in time']]);
    expect(await Promise.all([first, inTime])).toEqual(['found first', 'found in time']);
  });

  it('has a turn for the next when everyone who waited was late', async () => {
    const queue = queueWith();
    const first = queue.find('first');
    const refused = expect(queue.find('late')).rejects.toEqual(overloaded);
    now.mockReturnValue(2_000);
    await endAll();
    await Promise.all([first, refused]);
    const next = queue.find('next');
    await endAll();
    expect(await next).toBe('found next');
  });

  it('gives a failure to those who were asked about, the next their turn, and says of it that the database is away', async () => {
    const queue = queueWith();
    const failing = expect(queue.find('first')).rejects.toThrow('gone');
    const next = names(10).map((key) => queue.find(key));
    const late = expect(Promise.all(next)).rejects.toMatchObject({ code: 'database_unavailable' });
    now.mockReturnValue(2_000);
    await endOne(new Error('gone'));
    await Promise.all([failing, late]);
    const good = queue.find('good');
    await endAll();
    expect(await good).toBe('found good');
  });

  it('gives the turn of a look-up that throws at once to the next', async () => {
    let calls = 0;
    const queue = queueWith({
      lookUp: (keys) => {
        calls += 1;
        if (calls === 1) throw new Error('at once');
        return Promise.resolve(foundOf(keys));
      },
    });
    await expect(queue.find('first')).rejects.toThrow('at once');
    expect(await queue.find('next')).toBe('found next');
  });
});
