import type { Config, Secrets } from './config.ts';
import { applyMigrations } from './database/migrations.ts';
import { type DatabaseServers, reachServers } from './database/reach.ts';
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
 * Reaches the database, says when the way there is not encrypted, and applies the migrations that are missing.
 *
 * @throws DatabaseUnreachable, MigrationsFailed
 */
export async function prepareDatabase({ config, secrets, logger }: Needed): Promise<DatabaseServers> {
  const servers = await reach({ secrets, logger });
  // In development the database is on the same machine.
  if (!servers.pool.encrypted && config.environment !== 'development') {
    logger.warn('the database connection is not encrypted; sslmode in KEY_SERVICE_DATABASE_URL changes that');
  }
  const applied = await applyMigrations(servers.direct ?? servers.pool, () =>
    logger.info('waiting for another replica to finish migrating'),
  );
  if (applied > 0) logger.info({ applied }, 'migrations applied');
  return servers;
}
