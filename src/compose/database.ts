import type { Config } from '../config/config.ts';
import { ChangeFeed, type Changes, noChangeFeed } from '../database/change-feed/change-feed.ts';
import { notifyThrough } from '../database/change-feed/notify.ts';
import { type Database, openDatabase } from '../database/database.ts';
import type { DatabaseServers } from '../database/reach.ts';
import type { DatabaseServer } from '../database/server.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';

export interface ComposedDatabase {
  database: Database;
  /** null where there is only a pooler. */
  changeFeed: ChangeFeed | null;
  /** What is known of changes, with a feed or without. */
  changes: Changes;
}

interface Told {
  config: Config;
  logger: Logger;
  metrics: Metrics;
}

/** The pool and the change feed, joined with what they tell to the log and to the metrics. */
export function composeDatabase({ servers, ...told }: Told & { servers: DatabaseServers }): ComposedDatabase {
  const { config, logger, metrics } = told;
  const database = openDatabase({
    server: servers.pool,
    poolMax: config.database.poolMax,
    onIdleConnectionLost: () => logger.warn('an idle database connection was lost'),
  });
  metrics.watchPool(database.poolState);
  const changeFeed = servers.direct === null ? null : changeFeedOf(servers.direct, database, told);
  const changes = changeFeed ?? noChangeFeed;
  metrics.watchLease(() => changes.holdsLease);
  return { database, changeFeed, changes };
}

function changeFeedOf(server: DatabaseServer, database: Database, { config, logger, metrics }: Told): ChangeFeed {
  return new ChangeFeed({
    server,
    notify: notifyThrough(database),
    leaseMs: config.cache.leaseMs,
    onLease(held) {
      if (held) logger.info('the change feed is followed: validations are answered from memory');
      else logger.warn('the change feed is late or lost: every validation reads the database');
    },
    onChange: ({ kind }) => metrics.changes.inc({ kind }),
    onProbe: (roundTripMs) => metrics.changeFeedProbe.observe(roundTripMs / 1000),
  });
}
