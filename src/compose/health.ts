import type { Clerk } from '../clerk/clerk.ts';
import type { DataKeys } from '../data-keys/data-keys.ts';
import type { ChangeFeed } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { healthEndpoints } from '../health/endpoints.ts';
import { Health } from '../health/health.ts';
import type { Drain } from '../http/drain.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { describeError } from '../observability/describe-error.ts';
import type { Logger } from '../observability/logger.ts';

/** What is asked whether this replica can do its work, joined with all that it needs for that. */
export function composeHealth({
  database,
  dataKeys,
  changeFeed,
  clerk,
  drain,
  logger,
}: {
  database: Database;
  dataKeys: DataKeys;
  changeFeed: ChangeFeed | null;
  clerk: Clerk;
  drain: Drain;
  logger: Logger;
}): Endpoint[] {
  const health = new Health({
    database,
    dataKeys,
    changeFeed: changeFeed === null ? 'disabled' : () => changeFeed.holdsLease,
    clerk: clerk.state,
    isDraining: () => drain.draining,
    onChange(able, checks, error) {
      if (able) logger.info({ checks }, 'ready again');
      else logger.error({ checks, error: describeError(error) }, 'not ready');
    },
  });
  return healthEndpoints(health);
}
