import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compose, type Foundation } from './compose.ts';
import type { ChangeFeed } from './database/change-feed/change-feed.ts';
import { applyMigrations } from './database/migrations.ts';
import { reachServers } from './database/reach.ts';
import type { Logger } from './observability/logger.ts';
import { metricsServer } from './observability/metrics-server.ts';

export interface RunningService {
  /** Where it listens; the port is the one that was given when 0 was asked for. */
  port: number;
  metricsPort: number | null;
  /** Finishes what is being answered, writes what is in memory, and lets go of everything. Within 10 s. */
  stop(): Promise<void>;
}

/** A port could not be had. Safe to print. */
export class PortUnavailable extends Error {
  override readonly name = 'PortUnavailable';
}

/** A feed that works has its first lease within milliseconds. */
const FIRST_LEASE_LIMIT_MS = 5_000;
/** The shares of a stop that together stay below ten seconds. */
const DRAIN_LIMIT_MS = 5_500;
const FLUSH_LIMIT_MS = 2_000;
const DATABASE_CLOSE_LIMIT_MS = 1_000;
const MONITOR_CLOSE_LIMIT_MS = 1_000;

/**
 * Brings the service up in the order that makes its first answer true: database, migrations, master key, change feed, and
 * only then the port.
 *
 * @throws DatabaseUnreachable, MasterKeyMismatch, PortUnavailable
 */
export async function start(options: Omit<Foundation, 'servers'>): Promise<RunningService> {
  const { config, secrets, logger } = options;
  const servers = await reachServers(secrets, (reason) => logger.warn({ reason }, 'waiting for the database'));
  // In development the database is on the same machine.
  if (!servers.pool.encrypted && config.environment !== 'development') {
    logger.warn('the database connection is not encrypted; sslmode in KEY_SERVICE_DATABASE_URL changes that');
  }
  const applied = await applyMigrations(servers.direct ?? servers.pool, () =>
    logger.info('waiting for another replica to finish migrating'),
  );
  if (applied > 0) logger.info({ applied }, 'migrations applied');

  const service = compose({ ...options, servers });
  const metrics = config.metrics === null ? null : metricsServer(service.metrics.registry);
  const letGo = async () => {
    service.close();
    service.changeFeed?.stop();
    metrics?.close();
    await Promise.all(service.lastUsed.map((uses) => uses.stop(FLUSH_LIMIT_MS)));
    await service.database.close(DATABASE_CLOSE_LIMIT_MS);
    await options.monitor.close(MONITOR_CLOSE_LIMIT_MS);
  };

  try {
    await service.dataKeys.check(service.database);
    await followChanges(service.changeFeed, servers.direct?.pooled === true, logger);
    if (metrics !== null && config.metrics !== null) await listen(metrics, config.metrics.port, config.metrics.host);
    await listen(service.server, config.port, config.host);
  } catch (error) {
    await letGo();
    throw error;
  }
  for (const uses of service.lastUsed) uses.start(config.usageFlushMs);
  const port = portOf(service.server);
  logger.info({ host: config.host, port }, 'Key Service is ready');

  return {
    port,
    metricsPort: metrics === null ? null : portOf(metrics),
    async stop() {
      await service.drain.end(service.server, DRAIN_LIMIT_MS);
      await letGo();
    },
  };
}

/** Answering starts with a lease or without; without one every validation reads the database. */
async function followChanges(changeFeed: ChangeFeed | null, isPooled: boolean, logger: Logger): Promise<void> {
  if (changeFeed === null) {
    logger.warn(
      'a pooler stands before the database: nothing is answered from memory, every validation reads the database; ' +
        'KEY_SERVICE_DIRECT_DATABASE_URL, the server itself, changes that',
    );
  } else if (!(await changeFeed.start(FIRST_LEASE_LIMIT_MS))) {
    const reason = isPooled ? 'KEY_SERVICE_DIRECT_DATABASE_URL leads to a pooler' : 'the change feed does not answer';
    logger.error(
      `${reason}: nothing is answered from memory, and this replica is not ready; ` +
        'KEY_SERVICE_DIRECT_DATABASE_URL has to lead to the server itself, and to the same database as KEY_SERVICE_DATABASE_URL',
    );
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = ({ code }: NodeJS.ErrnoException) =>
      reject(new PortUnavailable(`Key Service cannot listen on ${host}:${port} (${code}).`));
    server.once('error', refuse);
    server.listen({ port, host }, () => {
      server.off('error', refuse);
      resolve();
    });
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
