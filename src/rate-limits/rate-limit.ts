/** So many requests in any so many seconds. */
export interface RateLimit {
  limit: number;
  windowSeconds: number;
}

/** What a rate limit says of one request. */
export interface Quota {
  rateLimit: RateLimit;
  /** It was admitted, and counts from now on. What is refused does not count. */
  admitted: boolean;
  /** How many more would be admitted now. */
  remaining: number;
  /** Until more would be: for one that was refused, until it would not be. In milliseconds, more than 0. */
  waitMs: number;
}

export const LARGEST_LIMIT = 1_000_000_000;
/** A day. What is counted for longer should outlive a process: that is what usage limits are for. */
export const LONGEST_WINDOW_SECONDS = 86_400;

/** As the audit has it. */
export function rateLimitText(rateLimit: RateLimit | null): string | null {
  return rateLimit && `${rateLimit.limit} in ${rateLimit.windowSeconds} s`;
}
