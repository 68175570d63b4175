import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GroupCommit } from '../../../src/audit/group-commit.ts';

/** A writer whose commits end when the test says so. */
function writer({ largest = 100, fewest = 100, waiting = 100 } = {}) {
  const commits: { items: string[]; end: (refused?: string[]) => void; fail: () => void }[] = [];
  const group = new GroupCommit<string>({
    largest,
    fewest,
    waiting,
    commit: (items) =>
      new Promise((resolve, reject) => {
        commits.push({
          items,
          end: (refused = []) => resolve(new Set(refused)),
          fail: () => reject(new Error('no')),
        });
      }),
    failure: (reason) => new Error(reason),
  });
  /** What has become of it. */
  function write(item: string, limitMs = 1_000) {
    const fate = { is: 'waiting' };
    group.write(item, limitMs).then(
      () => Object.assign(fate, { is: 'written' }),
      (error: Error) => Object.assign(fate, { is: error.message }),
    );
    return fate;
  }
  return { commits, write, items: () => commits.map(({ items }) => items) };
}
const settle = () => vi.advanceTimersByTimeAsync(1);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Real turns of the event loop, which the writer gathers by. */
const turns = async () => {
  for (let n = 0; n < 5; n += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('A group commit', () => {
  it('writes what comes in one turn of the event loop together', async () => {
    const { write, items } = writer();
    write('a');
    write('b');
    await turns();
    expect(items()).toEqual([['a', 'b']]);
  });

  it('gathers what comes while a commit is under way, and has one under way at a time', async () => {
    const { commits, write, items } = writer();
    const a = write('a');
    await turns();
    const [b, c] = [write('b'), write('c')];
    await turns();
    expect(items()).toEqual([['a']]);
    commits[0]?.end();
    await turns();
    expect([a.is, b.is, c.is]).toEqual(['written', 'waiting', 'waiting']);
    expect(items()).toEqual([['a'], ['b', 'c']]);
    commits[1]?.end();
    await turns();
    expect([b.is, c.is]).toEqual(['written', 'written']);
  });

  it('is no larger than it may be, in the order in which they came', async () => {
    const { commits, write, items } = writer({ largest: 2 });
    for (const item of 'abcde') write(item);
    for (let n = 0; n < 3; n += 1) {
      await turns();
      commits[n]?.end();
    }
    await turns();
    expect(items()).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('writes a burst in two halves, the second of them begun before those of the first are told', async () => {
    const { commits, write, items } = writer({ fewest: 2 });
    const fates = [...'abcdefghi'].map((item) => write(item));
    await turns();
    expect(items()).toEqual([[...'abcde']]);
    commits[0]?.end();
    // Microtasks: the event loop has not turned.
    for (let n = 0; n < 10; n += 1) await Promise.resolve();
    expect(items()).toEqual([[...'abcde'], [...'fghi']]);
    expect(fates[0]?.is).toBe('waiting');
    await turns();
    expect(fates.map(({ is }) => is).join(' ')).toBe(`${'written '.repeat(5)}${'waiting '.repeat(4)}`.trim());
    commits[1]?.end();
    await turns();
    expect(new Set(fates.map(({ is }) => is))).toEqual(new Set(['written']));
  });

  it.each([
    ['at once', [12]],
    ['eleven of them in one commit', [1, 11]],
  ])('has half of those under way who ask again as soon as they are told, who came %s', async (_, arrivals) => {
    const { commits, write } = writer({ fewest: 1 });
    let asking = true;
    const ask = async (): Promise<void> => {
      const fate = write('again');
      while (fate.is === 'waiting') await new Promise((resolve) => setImmediate(resolve));
      if (asking) await ask();
    };
    for (const callers of arrivals) {
      for (let n = 0; n < callers; n += 1) void ask();
      await turns();
    }
    for (let n = 0; n < 10; n += 1) {
      commits[n]?.end();
      await turns();
    }
    expect(commits.slice(4).map(({ items }) => items.length)).toEqual([6, 6, 6, 6, 6, 6, 6]);
    asking = false;
    commits.at(-1)?.end();
    await turns();
    commits.at(-1)?.end();
    await turns();
  });

  it('refuses at once what is too much to wait', async () => {
    const { write, commits } = writer({ waiting: 3 });
    write('under way');
    await turns();
    const fates = ['a', 'b', 'c', 'd'].map((item) => write(item));
    await turns();
    expect(fates.map(({ is }) => is)).toEqual(['waiting', 'waiting', 'waiting', 'full']);
    commits[0]?.end();
    await turns();
    expect(write('e').is).toBe('waiting');
  });

  it('does not begin with what has no time left', async () => {
    const { write, items } = writer();
    const [a, b] = [write('a', 0), write('b', -1)];
    await turns();
    expect([a.is, b.is]).toEqual(['late', 'late']);
    expect(items()).toEqual([]);
  });

  it('gives up what waits too long, and does not write it any more', async () => {
    const { write, commits, items } = writer();
    const a = write('a', 500);
    await turns();
    const [b, c] = [write('b', 100), write('c', 1_000)];
    await settle();
    await vi.advanceTimersByTimeAsync(150);
    expect([a.is, b.is, c.is]).toEqual(['waiting', 'late', 'waiting']);
    commits[0]?.end();
    await turns();
    expect(items()).toEqual([['a'], ['c']]);
  });

  it('does not say that something was written when that was too late', async () => {
    const { write, commits } = writer();
    const a = write('a', 500);
    await turns();
    vi.setSystemTime(Date.now() + 10_000); // the process was stopped
    commits[0]?.end();
    await turns();
    expect(a.is).toBe('late');
  });

  it('tells everyone of a commit that failed, and goes on with the next', async () => {
    const { write, commits, items } = writer();
    const fates = [write('a'), write('b')];
    await turns();
    const c = write('c');
    commits[0]?.fail();
    await turns();
    expect(fates.map(({ is }) => is)).toEqual(['failed', 'failed']);
    expect(items()).toEqual([['a', 'b'], ['c']]);
    commits[1]?.end();
    await turns();
    expect(c.is).toBe('written');
  });

  it('goes on with the next when a commit throws before it has begun', async () => {
    const fates: string[] = [];
    const group = new GroupCommit<string>({
      largest: 1,
      fewest: 1,
      waiting: 10,
      commit: (items) => {
        if (items.includes('b')) throw new Error('no');
        return Promise.resolve(new Set());
      },
      failure: (reason) => new Error(reason),
    });
    for (const item of 'abc') {
      group.write(item, 1_000).then(
        () => fates.push(`${item} written`),
        (error: Error) => fates.push(`${item} ${error.message}`),
      );
    }
    await turns();
    await turns();
    expect(fates).toEqual(['a written', 'b failed', 'c written']);
  });

  it('gives up each at its time, also what is under way, and tells nobody twice', async () => {
    const { write, commits } = writer();
    const a = write('a', 100);
    await turns();
    const [b, c, d] = [write('b', 103), write('c', 150), write('d', 90)];
    await vi.advanceTimersByTimeAsync(95);
    expect([a.is, b.is, c.is, d.is]).toEqual(['waiting', 'waiting', 'waiting', 'late']);
    await vi.advanceTimersByTimeAsync(20);
    expect([a.is, b.is, c.is]).toEqual(['late', 'late', 'waiting']);
    await vi.advanceTimersByTimeAsync(50);
    expect(c.is).toBe('late');
    commits[0]?.end();
    await turns();
    expect([a.is, b.is, c.is]).toEqual(['late', 'late', 'late']);
    expect(commits).toHaveLength(1);
    const e = write('e', 50);
    await vi.advanceTimersByTimeAsync(70);
    expect(e.is).toBe('late');
  });

  it('tells of one that could not be written, and of the others that they were', async () => {
    const { write, commits } = writer();
    const fates = [write('a'), write('b'), write('c')];
    await turns();
    commits[0]?.end(['b']);
    await turns();
    expect(fates.map(({ is }) => is)).toEqual(['written', 'failed', 'written']);
  });
});
