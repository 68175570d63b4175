export const BUCKETS = ['hour', 'day'] as const;
/** A clock hour, or a calendar day, in UTC. */
export type Bucket = (typeof BUCKETS)[number];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const BUCKET_MS: Record<Bucket, number> = { hour: HOUR_MS, day: DAY_MS };
/** What is shown when nobody says since when: so many buckets, the one that is not over yet among them. */
const SHOWN: Record<Bucket, number> = { hour: 24, day: 30 };
/** The years of an `instant`: beyond them neither PostgreSQL nor JavaScript writes what the other reads. */
const FIRST_MS = Date.parse('0001-01-01T00:00:00Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');
/** What one answer may reach over. */
export const LONGEST_DAYS: Record<Bucket, number> = { hour: 31, day: 400 };

export interface AskedRange {
  bucket: Bucket;
  since: Date | undefined;
  /** Exclusive. */
  until: Date | undefined;
}

/** Of whole buckets: counts are known by the hour. */
export interface Range {
  bucket: Bucket;
  since: Date;
  /** Exclusive. */
  until: Date;
}

/** What may be wrong with what was asked for. */
export type RangeFault = 'ends before it begins' | 'ends too late' | 'too long';

/** What was asked for, widened to whole buckets. @param nowMs since 1970 */
export function rangeOf({ bucket, since, until }: AskedRange, nowMs: number): Range | RangeFault {
  const bucketMs = BUCKET_MS[bucket];
  const untilMs = until?.getTime() ?? nowMs;
  const endMs = Math.ceil(untilMs / bucketMs) * bucketMs;
  if (endMs > LAST_MS) return 'ends too late';
  const sinceMs = since?.getTime() ?? Math.max(FIRST_MS, endMs - SHOWN[bucket] * bucketMs);
  if (sinceMs >= untilMs) return 'ends before it begins';
  if (untilMs - sinceMs > LONGEST_DAYS[bucket] * DAY_MS) return 'too long';
  return { bucket, since: new Date(Math.floor(sinceMs / bucketMs) * bucketMs), until: new Date(endMs) };
}
