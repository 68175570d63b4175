import fc from 'fast-check';
import type { Quota, RateLimit } from '../../src/rate-limits/rate-limit.ts';

/** Requests in bursts, in a trickle, and after pauses in which a window or more goes by. */
export function pauses(windowMs: number): fc.Arbitrary<number[]> {
  const pause = fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.nat({ max: Math.ceil(windowMs / 50) }) },
    { weight: 3, arbitrary: fc.nat({ max: Math.ceil(windowMs / 4) }) },
    { weight: 1, arbitrary: fc.nat({ max: windowMs * 3 }) },
  );
  return fc.array(pause, { minLength: 1, maxLength: 200 });
}

/** Of what is admitted longer than a window ago, this share of a window more may be counted still. */
const SHARE_OF_A_PART = 1 / 50;

/**
 * What a window that slides must do, from every request's own instant: it never admits more than the limit in a window,
 * wherever that begins; and it refuses nothing unless as many were admitted in the window, or in the fiftieth before it.
 *
 * @param atMs when each was judged, by the clock that judged it
 * @returns what is wrong, for a person
 */
export function violations(
  { limit, windowSeconds }: RateLimit,
  judged: readonly { atMs: number; quota: Quota }[],
): string[] {
  const windowMs = windowSeconds * 1000;
  const admitted: number[] = [];
  const wrong: string[] = [];
  for (const { atMs, quota } of judged) {
    const within = (ms: number) => admitted.filter((earlier) => earlier > atMs - ms).length;
    const surely = within(windowMs);
    const perhaps = within(windowMs * (1 + SHARE_OF_A_PART) + 1);
    if (quota.admitted && surely >= limit) wrong.push(`${surely + 1} admitted in the window that ends at ${atMs}`);
    if (!quota.admitted && perhaps < limit) wrong.push(`refused at ${atMs}, after ${perhaps} of ${limit}`);
    if (quota.admitted) admitted.push(atMs);
    const taken = quota.admitted ? 1 : 0;
    if (quota.remaining > Math.max(0, limit - surely - taken)) wrong.push(`promised too many at ${atMs}`);
    if (quota.remaining < Math.max(0, limit - perhaps - taken)) wrong.push(`promised too few at ${atMs}`);
    if (quota.waitMs <= 0 || quota.waitMs > windowMs * (1 + SHARE_OF_A_PART)) wrong.push(`waits ${quota.waitMs} ms`);
  }
  return wrong;
}
