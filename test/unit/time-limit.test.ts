import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { within } from '../../src/time-limit.ts';

const LIMIT_MS = 10_000;
const late = () => new Error('late');

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
