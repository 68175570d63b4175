import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlidingWindow } from '../../../src/rate-limits/sliding-window.ts';
import { pauses, violations } from '../../support/rate-limit-model.ts';

const story = fc
  .record({ limit: fc.integer({ min: 1, max: 30 }), windowSeconds: fc.constantFrom(1, 2, 7, 60, 86_400) })
  .chain((rateLimit) =>
    fc.record({
      rateLimit: fc.constant(rateLimit),
      beganMs: fc.double({ min: 0, max: 1e10, noNaN: true }),
      pauses: pauses(rateLimit.windowSeconds * 1000),
    }),
  );

describe('SlidingWindow', () => {
  it('never admits more in any window, and forgets at most a fiftieth of one late', () => {
    fc.assert(
      fc.property(story, ({ rateLimit, beganMs, pauses }) => {
        const window = new SlidingWindow(rateLimit.windowSeconds);
        let atMs = beganMs;
        const judged = pauses.map((pauseMs) => {
          atMs += pauseMs;
          return { atMs, quota: window.take(rateLimit, atMs) };
        });
        expect(violations(rateLimit, judged)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('tells one that is refused how long it has to wait: then it is admitted, and a moment before it is not', () => {
    fc.assert(
      fc.property(story, ({ rateLimit, beganMs, pauses }) => {
        const replay = (extraMs: number) => {
          const window = new SlidingWindow(rateLimit.windowSeconds);
          let atMs = beganMs;
          for (const pauseMs of pauses) {
            atMs += pauseMs;
            const { admitted, waitMs } = window.take(rateLimit, atMs);
            if (!admitted) return window.take(rateLimit, atMs + waitMs + extraMs).admitted;
          }
          return null;
        };
        const [late, early] = [replay(0.01), replay(-0.01)];
        expect([true, null]).toContain(late);
        expect(early).toBe(late === null ? null : false);
      }),
      { numRuns: 500 },
    );
  });

  it('tells one that is admitted when the next of its count is given back', () => {
    const rateLimit = { limit: 10, windowSeconds: 1 };
    const window = new SlidingWindow(1);
    expect(window.take(rateLimit, 1_005)).toEqual({ rateLimit, admitted: true, remaining: 9, waitMs: 1_015 });
    expect(window.take(rateLimit, 1_500)).toMatchObject({ remaining: 8, waitMs: 520 });
    expect(window.take(rateLimit, 2_019)).toMatchObject({ remaining: 7, waitMs: 1 });
    expect(window.take(rateLimit, 2_020)).toMatchObject({ remaining: 7, waitMs: 500 });
  });

  it('waits for as many as a lowered limit is exceeded by', () => {
    const window = new SlidingWindow(1);
    for (const atMs of [0, 100, 200, 300]) window.take({ limit: 4, windowSeconds: 1 }, atMs);
    const lowered = { limit: 2, windowSeconds: 1 };
    expect(window.take(lowered, 400)).toMatchObject({ admitted: false, remaining: 0, waitMs: 820 });
    expect(window.take(lowered, 1_219)).toMatchObject({ admitted: false });
    expect(window.take(lowered, 1_220)).toMatchObject({ admitted: true, remaining: 0 });
  });

  it('is fast after years without a request', () => {
    const window = new SlidingWindow(1);
    window.take({ limit: 1, windowSeconds: 1 }, 0);
    const began = performance.now();
    expect(window.take({ limit: 1, windowSeconds: 1 }, 1e11).admitted).toBe(true);
    expect(performance.now() - began).toBeLessThan(50);
  });
});
