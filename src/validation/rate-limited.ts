import { ServiceError } from '../errors.ts';
import type { Quota } from '../rate-limits/rate-limit.ts';

export function rateLimited({ rateLimit: { limit, windowSeconds }, waitMs }: Quota): ServiceError {
  const retryAfterSeconds = Math.ceil(waitMs / 1000);
  const requests = limit === 1 ? 'request' : 'requests';
  const window = windowSeconds === 1 ? 'second' : `${windowSeconds} seconds`;
  return new ServiceError(
    'rate_limited',
    `This API key is limited to ${limit} ${requests} in any ${window}. Try again in ${retryAfterSeconds} s.`,
    { retryAfterSeconds },
  );
}
