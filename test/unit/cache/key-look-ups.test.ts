import { describe, expect, it } from 'vitest';
import { type FoundKey, KeyLookUps } from '../../../src/cache/key-look-ups.ts';
import { noChangeFeed } from '../../../src/database/change-feed/change-feed.ts';

/** Look-ups that are held open until they are let go. */
function heldLookUps(lookUpsAtOnce: number, knowsSuspects = true) {
  const asked: string[][] = [];
  const release: (() => void)[] = [];
  const lookUps = new KeyLookUps<object>({
    changes: noChangeFeed,
    find(keyHashes) {
      asked.push(keyHashes.map((hash) => hash.toString('latin1')));
      return new Promise<FoundKey<object>[]>((resolve) => {
        release.push(() =>
          resolve(keyHashes.map((keyHash) => ({ keyHash, value: { keyHash }, organizationId: null }))),
        );
      });
    },
    maxBytes: 1_000_000,
    sizeOf: () => 1,
    unknownRemembered: 10,
    lookUpsAtOnce,
    limitMs: 5_000,
    patienceMs: 5_000,
    knowsSuspects,
  });
  return { lookUps, asked, release };
}

describe('KeyLookUps', () => {
  it('never has more than one look-up for suspects under way, and others do not wait behind them', async () => {
    const { lookUps, asked, release } = heldLookUps(5);
    const suspects = Array.from({ length: 100 }, (_, n) => lookUps.lookUp(`suspect ${n}`, true));
    expect(asked).toEqual([['suspect 0']]);
    const strangers = ['a', 'b', 'c'].map((hash) => lookUps.lookUp(hash));
    expect(asked.slice(1)).toEqual([['a'], ['b']]);
    release[1]?.();
    await strangers[0];
    expect(asked[3]).toEqual(['c']);
    // Suspects wait for each other, are looked up together, and are found in the end.
    release[0]?.();
    await suspects[0];
    await expect.poll(() => asked).toHaveLength(5);
    expect(asked[4]).toHaveLength(64);
    release[4]?.();
    await expect.poll(() => asked).toHaveLength(6);
    for (const letGo of release) letGo();
    expect(await Promise.all([...suspects, ...strangers])).toHaveLength(103);
  });

  it.each([
    [1, true, 1],
    [2, true, 1],
    [3, true, 2],
    [4, true, 2],
    [5, true, 3],
    [5, false, 2],
  ])(
    'has of %i look-ups at once, where there are suspects: %j, %i for keys that are not familiar',
    (atOnce, knows, most) => {
      const { lookUps, asked } = heldLookUps(atOnce, knows);
      for (let n = 0; n < 10; n += 1) {
        void lookUps.lookUp(`suspect ${n}`, true);
        void lookUps.lookUp(`stranger ${n}`);
      }
      expect(asked).toHaveLength(most);
    },
  );
});
