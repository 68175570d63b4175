import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AskedRange, LONGEST_DAYS, rangeOf } from '../../../src/usage-reports/range.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2030, 4, 17, 13, 20, 5);
const shown = (asked: Partial<AskedRange>) => {
  const range = rangeOf({ bucket: 'hour', since: undefined, until: undefined, ...asked }, NOW);
  return typeof range === 'string' ? range : `${range.since.toISOString()} ${range.until.toISOString()}`;
};
const date = (text: string) => new Date(text);

describe('rangeOf', () => {
  it('is the last 24 hours or 30 days when nothing is asked, the current one included', () => {
    expect(shown({})).toBe('2030-05-16T14:00:00.000Z 2030-05-17T14:00:00.000Z');
    expect(shown({ bucket: 'day' })).toBe('2030-04-18T00:00:00.000Z 2030-05-18T00:00:00.000Z');
    expect(shown({ until: date('2030-02-01T05:00:00Z') })).toBe('2030-01-31T05:00:00.000Z 2030-02-01T05:00:00.000Z');
  });

  it('is widened to whole buckets in UTC, whatever offset it was asked with', () => {
    expect(shown({ since: date('2030-05-01T23:30:00+05:30'), until: date('2030-05-02T00:00:00.001Z') })).toBe(
      '2030-05-01T18:00:00.000Z 2030-05-02T01:00:00.000Z',
    );
    expect(shown({ bucket: 'day', since: date('2030-05-01T23:30:00-05:00') })).toBe(
      '2030-05-02T00:00:00.000Z 2030-05-18T00:00:00.000Z',
    );
  });

  it('ends after it begins, and is not too long', () => {
    const since = date('2030-01-01T00:00:00Z');
    expect(shown({ since, until: since })).toBe('ends before it begins');
    expect(shown({ since: new Date(NOW + 1) })).toBe('ends before it begins');
    for (const bucket of ['hour', 'day'] as const) {
      const longest = new Date(since.getTime() + LONGEST_DAYS[bucket] * DAY_MS);
      expect(shown({ bucket, since, until: longest })).toMatch(/Z/);
      expect(shown({ bucket, since, until: new Date(longest.getTime() + 1) })).toBe('too long');
    }
  });

  it('stays within the years that an instant has, however it is widened', () => {
    for (const bucket of ['hour', 'day'] as const) {
      const lastBucket = date(bucket === 'hour' ? '9999-12-31T23:00:00Z' : '9999-12-31T00:00:00Z');
      expect(shown({ bucket, until: lastBucket })).toMatch(/ 9999-12-31T/);
      expect(shown({ bucket, until: new Date(lastBucket.getTime() + 1) })).toBe('ends too late');
      expect(shown({ bucket, until: date('0001-01-01T00:00:00.001Z') })).toMatch(/^0001-01-01T00:00:00.000Z /);
      expect(shown({ bucket, until: date('0001-01-01T00:00:00Z') })).toBe('ends before it begins');
    }
  });

  it('holds what was asked for, with less than a bucket more at either end', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('hour' as const, 'day' as const),
        fc.date({ min: date('1970-01-01T00:00:00Z'), max: date('2200-01-01T00:00:00Z'), noInvalidDate: true }),
        fc.integer({ min: 1, max: 31 * DAY_MS }),
        (bucket, since, lengthMs) => {
          const until = new Date(since.getTime() + lengthMs);
          const range = rangeOf({ bucket, since, until }, NOW);
          if (typeof range === 'string') throw new Error(range);
          const bucketMs = bucket === 'hour' ? HOUR_MS : DAY_MS;
          expect([range.since.getTime() % bucketMs, range.until.getTime() % bucketMs]).toEqual([0, 0]);
          const before = since.getTime() - range.since.getTime();
          const after = range.until.getTime() - until.getTime();
          for (const more of [before, after]) expect(more >= 0 && more < bucketMs).toBe(true);
        },
      ),
    );
  });
});
