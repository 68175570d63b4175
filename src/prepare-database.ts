import type { Config, Secrets } from './config/config.ts';
import { applyMigrations } from './database/migrations.ts';
import { type DatabaseServers, reachServers } from './database/reach.ts';
import type { DatabaseServer } from './database/server.ts';
import type { Logger } from './observability/logger.ts';

interface Needed {
  config: Config;
  secrets: Secrets;
  logger: Logger;
}

/** Waits for the database. @throws DatabaseUnreachable */
export function reach({ secrets, logger }: Omit<Needed, 'config'>): Promise<DatabaseServers> {
  return reachServers(secrets, (reason) => logger.warn({ reason }, 'waiting for the database'));
}

/**
 * Reaches the database, says which ways there are not encrypted, and applies the migrations that are missing.
 *
 * @throws DatabaseUnreachable, MigrationsFailed
 */
export async function prepareDatabase({ config, secrets, logger }: Needed): Promise<DatabaseServers> {
  const servers = await reach({ secrets, logger });
  // In development the database is on the same machine.
  if (config.environment !== 'development') {
    for (const variable of plainWays(servers)) {
      logger.warn(`the database connection is not encrypted; sslmode in ${variable} changes that`);
    }
  }
  const applied = await applyMigrations(servers.direct ?? servers.pool, () =>
    logger.info('waiting for another replica to finish migrating'),
  );
  if (applied > 0) logger.info({ applied }, 'migrations applied');
  return servers;
}

/** The variables of the ways to the database that are not encrypted. */
function plainWays({ pool, direct }: DatabaseServers): string[] {
  const ways: [string, DatabaseServer][] = [['KEY_SERVICE_DATABASE_URL', pool]];
  // Without a URL of its own it is the same way.
  if (direct !== null && direct !== pool) ways.push(['KEY_SERVICE_DIRECT_DATABASE_URL', direct]);
  return ways.flatMap(([variable, { encrypted }]) => (encrypted ? [] : [variable]));
}
