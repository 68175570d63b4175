import { describeError } from '../observability/describe-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { RateLimits } from '../rate-limits/rate-limits.ts';
import { SharedWindows } from '../rate-limits/shared-windows.ts';

/** Rate limits: in Redis, if there is one, for all replicas together; else for this process alone. */
export function composeRateLimits({
  redisUrl,
  logger,
  metrics,
}: {
  redisUrl: string | null;
  logger: Logger;
  metrics: Metrics;
}): RateLimits {
  if (redisUrl === null) return new RateLimits(null);
  const shared = new SharedWindows({
    url: redisUrl,
    onLost: (error) =>
      logger.warn(
        { error: describeError(error), reply: replyCode(error) },
        'Redis does not answer: this replica counts rate limits alone until it does',
      ),
    onFound: () => logger.info('Redis answers: rate limits are counted for all replicas together'),
  });
  metrics.watchRedis(() => shared.isThere);
  return new RateLimits(shared);
}

/** The first word of a refusal of Redis, such as NOAUTH or READONLY, and nothing of what comes after it. */
function replyCode(error: unknown): string | undefined {
  return error instanceof Error ? /^([A-Z]{3,20}) /.exec(error.message)?.[1] : undefined;
}
