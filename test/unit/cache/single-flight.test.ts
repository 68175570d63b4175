import { beforeEach, describe, expect, it } from 'vitest';
import { SingleFlight } from '../../../src/cache/single-flight.ts';

/** A read that ends when the test says so, and counts how often it began. */
class Read {
  began = 0;
  end: (value: string) => void = () => {};
  fail: (error: Error) => void = () => {};
  readonly run = () => {
    this.began += 1;
    return new Promise<string>((resolve, reject) => {
      this.end = resolve;
      this.fail = reject;
    });
  };
}
/** Lets everything happen that waits for nothing else. */
const settle = () => new Promise((resolve) => setImmediate(resolve));
const SHARED = true;
const ALONE = false;

describe('SingleFlight', () => {
  let flights: SingleFlight<string>;
  let [first, second, third] = [new Read(), new Read(), new Read()];
  beforeEach(() => {
    flights = new SingleFlight();
    [first, second, third] = [new Read(), new Read(), new Read()];
  });

  it('reads once for all who may share, however many ask', async () => {
    const answers = Array.from({ length: 100 }, () => flights.run('key', SHARED, first.run));
    expect(first.began).toBe(1);
    first.end('value');
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['value']));
  });

  it('reads for each key by itself', async () => {
    const answers = [flights.run('a', SHARED, first.run), flights.run('b', SHARED, second.run)];
    second.end('of b');
    first.end('of a');
    expect(await Promise.all(answers)).toEqual(['of a', 'of b']);
  });

  it('reads anew once the read before has ended', async () => {
    const before = flights.run('key', SHARED, first.run);
    first.end('old');
    await before;
    const after = flights.run('key', SHARED, second.run);
    second.end('new');
    expect(await after).toBe('new');
  });

  it('fails for all who share, and the next who asks reads anew', async () => {
    const answers = [flights.run('key', SHARED, first.run), flights.run('key', SHARED, first.run)];
    first.fail(new Error('gone'));
    expect((await Promise.allSettled(answers)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const after = flights.run('key', SHARED, second.run);
    second.end('value');
    expect(await after).toBe('value');
  });

  describe('who may not share a read under way', () => {
    it('waits for the next, which begins when it has ended, and shares that one with all who wait too', async () => {
      const before = flights.run('key', ALONE, first.run);
      const waiting = Array.from({ length: 100 }, () => flights.run('key', ALONE, second.run));
      await settle();
      expect(second.began).toBe(0);
      first.end('old');
      expect(await before).toBe('old');
      await settle();
      expect(second.began).toBe(1);
      second.end('new');
      expect(new Set(await Promise.all(waiting))).toEqual(new Set(['new']));
    });

    it('begins at once when nothing is under way', () => {
      void flights.run('key', ALONE, first.run);
      expect(first.began).toBe(1);
    });

    it('does not fail with the read before', async () => {
      const before = flights.run('key', ALONE, first.run);
      const waiting = flights.run('key', ALONE, second.run);
      first.fail(new Error('gone'));
      await expect(before).rejects.toThrow('gone');
      await settle();
      second.end('new');
      expect(await waiting).toBe('new');
    });

    it('is never answered by a read that had begun when it asked, though others waited for that one', async () => {
      void flights.run('key', ALONE, first.run);
      const earlier = flights.run('key', ALONE, second.run);
      first.end('old');
      await settle();
      expect(second.began).toBe(1);
      const later = flights.run('key', ALONE, third.run);
      second.end('newer');
      expect(await earlier).toBe('newer');
      await settle();
      third.end('newest');
      expect(await later).toBe('newest');
    });

    it('does not keep those who may share from the read under way', async () => {
      const before = flights.run('key', ALONE, first.run);
      void flights.run('key', ALONE, second.run);
      const sharing = flights.run('key', SHARED, third.run);
      first.end('value');
      expect(await Promise.all([before, sharing])).toEqual(['value', 'value']);
      expect(third.began).toBe(0);
    });
  });

  describe.each([
    ['detached', () => flights.detach('key')],
    ['detached with all', () => flights.detachAll()],
  ])('a read under way that is %s', (_, detach) => {
    it('answers those who had asked, and nobody who asks from then on', async () => {
      const before = flights.run('key', SHARED, first.run);
      detach();
      const after = flights.run('key', SHARED, second.run);
      first.end('old');
      second.end('new');
      expect(await Promise.all([before, after])).toEqual(['old', 'new']);
    });

    it('does not end the sharing of the one that took its place when it ends itself', async () => {
      const before = flights.run('key', SHARED, first.run);
      detach();
      const after = flights.run('key', SHARED, second.run);
      first.end('old');
      await before;
      const joining = flights.run('key', SHARED, third.run);
      second.end('new');
      expect(await Promise.all([after, joining])).toEqual(['new', 'new']);
      expect(third.began).toBe(0);
    });

    it('is still waited for by those who waited for the next, which begins after it', async () => {
      void flights.run('key', ALONE, first.run);
      const waiting = flights.run('key', ALONE, second.run);
      detach();
      first.end('old');
      await settle();
      second.end('new');
      expect(await waiting).toBe('new');
    });
  });

  it('detaches the read of one key alone', () => {
    void flights.run('a', SHARED, first.run);
    flights.detach('b');
    void flights.run('a', SHARED, second.run);
    expect(second.began).toBe(0);
  });

  it.each([
    ['answers', () => first.end('old'), () => second.end('newer')],
    ['fails', () => first.fail(new Error('gone')), () => second.fail(new Error('gone'))],
  ])('answers nobody with a read, or the next, that has ended when it %s', async (_, endFirst, endSecond) => {
    const answers = [flights.run('key', ALONE, first.run), flights.run('key', ALONE, second.run)];
    endFirst();
    await settle();
    endSecond();
    await Promise.allSettled(answers);
    for (const sharing of [SHARED, ALONE]) {
      const read = new Read();
      const answer = flights.run('key', sharing, read.run);
      read.end('newest');
      expect(await answer).toBe('newest');
    }
  });
});
