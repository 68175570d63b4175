import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { countdown, within } from '../../src/time-limit.ts';

const LIMIT_MS = 10_000;
const late = () => new Error('late');

describe('countdown', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells what is left, less what is kept for later', () => {
    const msLeft = countdown(LIMIT_MS);
    expect([msLeft(), msLeft(4_000)]).toEqual([LIMIT_MS, LIMIT_MS - 4_000]);
    vi.advanceTimersByTime(2_500);
    expect([msLeft(), msLeft(4_000)]).toEqual([LIMIT_MS - 2_500, LIMIT_MS - 6_500]);
  });

  it('leaves enough to be late with, and no more', () => {
    const msLeft = countdown(LIMIT_MS);
    vi.advanceTimersByTime(LIMIT_MS - 3_000);
    expect(msLeft(4_000)).toBe(1);
    vi.advanceTimersByTime(60_000);
    expect(msLeft()).toBe(1);
  });
});

describe('within', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('gives what came in time', async () => {
    expect(await within(LIMIT_MS, Promise.resolve('in time'), late)).toBe('in time');
  });

  it('refuses what a stopped process finds when it wakes up, before its timer has fired', async () => {
    const result = within(LIMIT_MS, Promise.resolve('long ago'), late);
    vi.advanceTimersByTime(LIMIT_MS + 1);
    await expect(result).rejects.toThrow('late');
  });

  it('refuses what a suspended machine finds, where the monotonic clock stood still', async () => {
    const result = within(LIMIT_MS, Promise.resolve('long ago'), late);
    vi.setSystemTime(Date.now() + LIMIT_MS + 1);
    await expect(result).rejects.toThrow('late');
  });
});
