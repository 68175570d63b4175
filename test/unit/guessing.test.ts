import { describe, expect, it, vi } from 'vitest';
import { Guessing } from '../../src/validation/guessing.ts';

describe('Guessing', () => {
  it('holds so many addresses and no more, and forgets first who has failed longest ago', async () => {
    const guessing = new Guessing({ limit: 1, windowSeconds: 60, networksHeld: 3, onRefused: () => {} });
    const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::1'];
    for (const address of addresses) {
      expect(await guessing.failed(address)).toBeNull();
      expect(guessing.isLimited(address)).toBe(false);
      expect(await guessing.failed(address)).toBe(60);
    }
    expect(addresses.map((address) => guessing.isLimited(address))).toEqual([true, true, true]);
    // The first is used again, so that the second is the oldest.
    expect(await guessing.failed('192.0.2.1')).toBe(60);
    expect(await guessing.failed('192.0.2.3')).toBeNull();
    expect(addresses.map((address) => guessing.isLimited(address))).toEqual([true, false, true]);
    // What it has counted is forgotten with it.
    expect(await guessing.failed('192.0.2.2')).toBeNull();
  });

  it('tells of every one that it refuses', async () => {
    const onRefused = vi.fn();
    const guessing = new Guessing({ limit: 2, windowSeconds: 60, onRefused });
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => guessing.failed('192.0.2.1')));
    expect(outcomes).toEqual([null, null, 60, 60, 60]);
    expect(onRefused).toHaveBeenCalledTimes(3);
  });
});
