import type { Config } from '../config/config.ts';
import type { Database } from '../database/database.ts';
import type { Sweep } from '../janitor/janitor.ts';
import { describeError } from '../observability/describe-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { KeyUsage } from '../usage/key-usage.ts';
import { deleteOldCounts, deleteOldWriters, writeKeyUsage } from '../usage/key-usage-store.ts';
import { LastUsed, type WriteLastUsed } from '../usage/last-used.ts';
import { writeProviderKeyUses, writeServiceKeyUses } from '../usage/last-used-store.ts';

export interface ComposedUsage {
  apiKeys: KeyUsage;
  providerKeys: LastUsed;
  serviceKeys: LastUsed;
  /** Of what is too old to be kept. */
  sweeps: Sweep[];
  start(flushMs: number): void;
  /** Writes what is in memory, for at most so long. */
  stop(limitMs: number): Promise<void>;
}

/** What keys are used for, gathered in memory, with where it goes. */
export function composeUsage({
  config: { usageRetentionDays },
  database,
  logger,
  metrics,
}: {
  config: Pick<Config, 'usageRetentionDays'>;
  database: Database;
  logger: Logger;
  metrics: Metrics;
}): ComposedUsage {
  const apiKeys = new KeyUsage({
    write: writeKeyUsage(database),
    onFailure: (error, unwritten) =>
      logger.warn(
        { error: describeError(error), ...unwritten },
        'usage of API keys could not be written; it is kept for the next try',
      ),
    onUncounted: () => metrics.uncountedUses.inc(),
  });
  const keepLastUsed = (write: WriteLastUsed) =>
    new LastUsed(write, (error) =>
      logger.warn(
        { error: describeError(error) },
        'last-used times could not be written; they are kept for the next try',
      ),
    );
  const providerKeys = keepLastUsed(writeProviderKeyUses(database));
  const serviceKeys = keepLastUsed(writeServiceKeyUses(database));
  const all = [apiKeys, providerKeys, serviceKeys];
  return {
    apiKeys,
    providerKeys,
    serviceKeys,
    sweeps: [
      { name: 'usage counts', sweep: (queries, limit) => deleteOldCounts(queries, usageRetentionDays, limit) },
      { name: 'usage writers', sweep: (queries, limit) => deleteOldWriters(queries, usageRetentionDays, limit) },
    ],
    start(flushMs) {
      for (const uses of all) uses.start(flushMs);
    },
    async stop(limitMs) {
      await Promise.all(all.map((uses) => uses.stop(limitMs)));
    },
  };
}
