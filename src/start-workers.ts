import type { Config } from './config/config.ts';
import { metricsServer } from './observability/metrics-server.ts';
import { prepareDatabase } from './prepare-database.ts';
import { listen } from './start.ts';
import type { Workers } from './workers/workers.ts';

/**
 * Brings up a service of several processes, in the order of one: what is done once is done here, the rest by every worker.
 *
 * @returns the port that they share
 * @throws DatabaseUnreachable, MigrationsFailed, PortUnavailable, WorkerStartFailed
 */
export async function startWorkers(
  workers: Workers,
  options: Parameters<typeof prepareDatabase>[0] & { config: Config },
): Promise<number> {
  await prepareDatabase(options);
  const { metrics } = options.config;
  if (metrics !== null) await listen(metricsServer(workers.metrics), metrics.port, metrics.host);
  return workers.start();
}
