import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { compose } from './compose/compose.ts';
import type { Foundation } from './compose/foundation.ts';
import { proveMasterKeys } from './data-keys/master-key-proof.ts';
import type { ChangeFeed } from './database/change-feed/change-feed.ts';
import type { Logger } from './observability/logger.ts';
import { metricsServer } from './observability/metrics-server.ts';
import { openKeyring } from './open-keyring.ts';
import { prepareDatabase, reach } from './prepare-database.ts';

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
 * @throws DatabaseUnreachable, MigrationsFailed, MasterKeyMismatch, PortUnavailable
 */
export async function start(
  options: Omit<Foundation, 'servers' | 'keyring'> & {
    /** A worker's primary has migrated the database, and said what there was to say. */
    databaseIsPrepared?: boolean;
  },
): Promise<RunningService> {
  const { config, secrets, logger } = options;
  const servers = await (options.databaseIsPrepared === true ? reach(options) : prepareDatabase(options));

  const service = compose({ ...options, servers, keyring: await openKeyring(secrets) });
  const metrics = config.metrics === null ? null : metricsServer(service.metrics.registry);
  const letGo = async () => {
    metrics?.close();
    await service.background.stop(FLUSH_LIMIT_MS);
    await service.database.close(DATABASE_CLOSE_LIMIT_MS);
    await options.monitor.close(MONITOR_CLOSE_LIMIT_MS);
  };

  try {
    const reason = await proveMasterKeys(service.database, service.dataKeys);
    if (reason !== null) {
      logger.error(
        { reason },
        'a master key cannot be reached: what needs one of its data keys is 503 until it can be',
      );
    }
    await service.rateLimits.start();
    await followChanges(service.changeFeed, servers.direct?.pooled === true, logger);
    if (metrics !== null && config.metrics !== null) await listen(metrics, config.metrics.port, config.metrics.host);
    await listen(service.server, config.port, config.host);
  } catch (error) {
    await letGo();
    throw error;
  }
  service.background.start(config);

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
