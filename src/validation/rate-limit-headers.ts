import type { Quota } from '../rate-limits/rate-limit.ts';

/** Of the IETF's httpapi working group: draft-ietf-httpapi-ratelimit-headers, version 11, sections 3 and 4. */
export const RATE_LIMIT_HEADERS = {
  'RateLimit-Policy':
    'Of a key with a rate limit, the limit: `"default";q=100;w=60` is 100 requests in any 60 seconds (IETF draft).',
  RateLimit:
    'Of a key with a rate limit, what is left of it: `"default";r=50;t=30` is 50 requests, and more in 30 seconds (IETF draft).',
};

/** A name and a value in turn. */
export function rateLimitHeaders({ rateLimit: { limit, windowSeconds }, remaining, waitMs }: Quota): readonly string[] {
  const policy = `"default";q=${limit};w=${windowSeconds}`;
  return ['RateLimit-Policy', policy, 'RateLimit', `"default";r=${remaining};t=${Math.ceil(waitMs / 1000)}`];
}
