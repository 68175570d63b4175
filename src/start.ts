import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { compose, type Foundation } from './compose.ts';
import { applyMigrations } from './database/migrations.ts';
import { reachDatabase } from './database/reach.ts';
import { metricsServer } from './observability/metrics-server.ts';

export interface RunningService {
  /** Where it listens; the port is the one that was given when 0 was asked for. */
  port: number;
  metricsPort: number | null;
  /** All that it counts. */
  metrics: Registry;
  /** Finishes what is being answered, writes what is in memory, and lets go of everything. Within 10 s. */
  stop(): Promise<void>;
}

/** A port could not be had. Safe to print. */
export class PortUnavailable extends Error {
  override readonly name = 'PortUnavailable';
}

/** The shares of a stop that together stay below ten seconds. */
const DRAIN_LIMIT_MS = 5_500;
const FLUSH_LIMIT_MS = 2_000;
const DATABASE_CLOSE_LIMIT_MS = 1_000;
const MONITOR_CLOSE_LIMIT_MS = 1_000;

/**
 * Reaches the database, says when the way there is not encrypted, and applies the migrations that are missing.
 *
 * @returns the database's URL with its TLS mode settled
 * @throws DatabaseUnreachable, MigrationsFailed
 */
export async function prepareDatabase({
  config,
  secrets,
  logger,
}: Pick<Foundation, 'config' | 'secrets' | 'logger'>): Promise<string> {
  const { url: databaseUrl, encrypted } = await reach({ secrets, logger });
  // In development the database is on the same machine.
  if (!encrypted && config.environment !== 'development') {
    logger.warn('the database connection is not encrypted; sslmode in KEY_SERVICE_DATABASE_URL changes that');
  }
  const applied = await applyMigrations(databaseUrl, () =>
    logger.info('waiting for another replica to finish migrating'),
  );
  if (applied > 0) logger.info({ applied }, 'migrations applied');
  return databaseUrl;
}

/**
 * Brings the service up in the order that makes its first answer true: database, migrations, master key, and only then the
 * port.
 *
 * @throws DatabaseUnreachable, MasterKeyMismatch, PortUnavailable
 */
export async function start(
  options: Omit<Foundation, 'databaseUrl'> & {
    /** A worker's primary has migrated the database, and said what there was to say. */
    databaseIsPrepared?: boolean;
  },
): Promise<RunningService> {
  const { config, monitor } = options;
  const databaseUrl = options.databaseIsPrepared === true ? (await reach(options)).url : await prepareDatabase(options);

  const service = compose({ ...options, databaseUrl });
  const metrics = config.metrics === null ? null : metricsServer(service.metrics.registry);
  const letGo = async () => {
    service.close();
    metrics?.close();
    await Promise.all(service.lastUsed.map((uses) => uses.stop(FLUSH_LIMIT_MS)));
    await service.database.close(DATABASE_CLOSE_LIMIT_MS);
    await monitor.close(MONITOR_CLOSE_LIMIT_MS);
  };

  try {
    await service.dataKeys.check(service.database);
    if (metrics !== null && config.metrics !== null) await listen(metrics, config.metrics.port, config.metrics.host);
    await listen(service.server, config.port, config.host);
  } catch (error) {
    await letGo();
    throw error;
  }
  for (const uses of service.lastUsed) uses.start(config.usageFlushMs);

  return {
    port: portOf(service.server),
    metricsPort: metrics === null ? null : portOf(metrics),
    metrics: service.metrics.registry,
    async stop() {
      await service.drain.end(service.server, DRAIN_LIMIT_MS);
      await letGo();
    },
  };
}

function reach({ secrets, logger }: Pick<Foundation, 'secrets' | 'logger'>) {
  return reachDatabase(secrets.databaseUrl, {
    onWaiting: (reason) => logger.warn({ reason }, 'waiting for the database'),
  });
}

export function listen(server: Server, port: number, host: string): Promise<void> {
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
