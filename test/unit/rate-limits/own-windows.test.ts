import { describe, expect, it } from 'vitest';
import { KEYS_COUNTED, OwnWindows } from '../../../src/rate-limits/own-windows.ts';

const ONCE = { limit: 1, windowSeconds: 86_400 };

describe('OwnWindows', () => {
  it('counts each key by itself', () => {
    const windows = new OwnWindows();
    const admitted = ['a', 'b', 'a', 'b'].map((key) => windows.take(key, ONCE).admitted);
    expect(admitted).toEqual([true, true, false, false]);
  });

  it('goes on with the count under another limit, and begins anew with another window', () => {
    const windows = new OwnWindows();
    windows.take('a', ONCE);
    expect(windows.take('a', { ...ONCE, limit: 3 }).remaining).toBe(1);
    expect(windows.take('a', { ...ONCE, windowSeconds: 60 }).admitted).toBe(true);
  });

  it('counts so many keys at once, and forgets the one that was used longest ago', () => {
    const windows = new OwnWindows();
    windows.take('first', ONCE);
    windows.take('second', ONCE);
    for (let n = 0; n < KEYS_COUNTED - 2; n += 1) windows.take(`key-${n}`, ONCE);
    expect(windows.take('first', ONCE).admitted).toBe(false);
    windows.take('one more', ONCE);
    expect(windows.take('first', ONCE).admitted).toBe(false);
    expect(windows.take('second', ONCE).admitted).toBe(true);
  });
});
