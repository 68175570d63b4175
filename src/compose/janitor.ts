import type { Database } from '../database/database.ts';
import { removeExpiredReplies } from '../idempotency/reply-store.ts';
import { Janitor, type Sweep } from '../janitor/janitor.ts';
import { describeError } from '../observability/describe-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';

/** The janitor, handed the sweeps of all rooms. */
export function composeJanitor({
  database,
  usageSweeps,
  logger,
  metrics,
}: {
  database: Database;
  usageSweeps: readonly Sweep[];
  logger: Logger;
  metrics: Metrics;
}): Janitor {
  return new Janitor({
    database,
    sweeps: [...usageSweeps, { name: 'idempotent replies', sweep: removeExpiredReplies }],
    onBatch: (what, rows) => metrics.sweptRows.inc({ what }, rows),
    onSwept: (what, rows) => logger.info({ what, rows }, 'what had expired was removed'),
    onFailure: (what, error) =>
      logger.warn({ what, error: describeError(error) }, 'what has expired could not be removed; it is tried again'),
  });
}
