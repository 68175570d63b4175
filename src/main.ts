import closeWithGrace from 'close-with-grace';
import { ConfigurationError, loadConfig } from './config/config.ts';
import { MasterKeyMismatch } from './data-keys/master-key-proof.ts';
import { MigrationsFailed } from './database/migrations.ts';
import { DatabaseUnreachable } from './database/reach.ts';
import { boundHeapGrowth } from './heap-growth.ts';
import { describeError } from './observability/describe-error.ts';
import { type ErrorMonitor, noErrorMonitor } from './observability/error-monitor.ts';
import { createLogger } from './observability/logger.ts';
import { PortUnavailable, start } from './start.ts';
import { startWorkers } from './start-workers.ts';
import { settledWithin } from './time-limit.ts';
import { WorkerStartFailed } from './workers/forked-worker.ts';
import type { StartFailure } from './workers/messages.ts';
import { workerDuties } from './workers/worker.ts';
import { Workers } from './workers/workers.ts';

/** What an orchestrator usually waits before it kills. */
const STOP_LIMIT_MS = 10_000;
const LOG_LIMIT_MS = 250;

boundHeapGrowth();
const { config, secrets } = readConfigurationOrExit();
// This process is the whole service, or the primary of its workers, or one of these.
const worker = workerDuties();
const isPrimary = worker === null && config.workers > 1;
const logger = createLogger(config, { fields: worker === null ? {} : { worker: worker.id } });
const monitor = isPrimary ? noErrorMonitor : await openErrorMonitor(secrets.sentryDsn);
let service: { stop(): Promise<void> } | undefined;

// The library leaves signals to us: it would exit at a second one, and npm passes on a Ctrl-C that the terminal has sent
// to every process already.
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
const grace = closeWithGrace({ delay: STOP_LIMIT_MS, logger: false, skip: [...SIGNALS] }, async ({ err }) => {
  if (err !== undefined) {
    logger.fatal({ error: describeError(err) }, 'an error that nothing handled; stopping');
    monitor.report({ error: describeError(err) });
  }
  logger.info('stopping');
  // Before it has started there is nothing to finish: an interrupted migration is rolled back by the database.
  await service?.stop();
  logger.info('stopped');
  await logWritten();
});
let stopping = false;
const stop = () => {
  if (stopping) return;
  stopping = true;
  grace.close();
};
for (const signal of SIGNALS) process.on(signal, stop);
worker?.onAbandoned(stop);

try {
  await bringUp();
} catch (error) {
  // Workers that a stop has ended before they were ready are no failure; it ends this process too.
  if (!stopping) {
    await giveUp(error);
    process.exit(1);
  }
}

async function bringUp(): Promise<void> {
  if (isPrimary) {
    const workers = new Workers(config.workers, logger);
    service = workers; // a stop during the start has workers to stop
    const port = await startWorkers(workers, { config, secrets, logger });
    logger.info({ host: config.host, workers: config.workers, port }, 'Key Service is ready');
  } else if (worker === null) {
    const replica = await start({ config, secrets, logger, monitor });
    service = replica;
    logger.info({ host: config.host, port: replica.port }, 'Key Service is ready');
  } else {
    // The primary serves the metrics of all.
    const replicaConfig = { ...config, metrics: null };
    const replica = await start({ config: replicaConfig, secrets, logger, monitor, databaseIsPrepared: true });
    service = replica;
    worker.ready(replica.port, replica.metrics);
  }
}

async function giveUp(error: unknown): Promise<void> {
  stopping = true; // the primary sends its signal to a worker that has failed too
  const { fields, message } = failureOf(error);
  // One start, one fatal line: the primary's.
  if (worker === null) logger.fatal(fields, message);
  else await worker.failed({ fields, message });
  if ('error' in fields && !(error instanceof WorkerStartFailed)) {
    // The primary does nothing else that could fail in a way worth reporting, and does not load it for that.
    const reporter = isPrimary ? await openErrorMonitor(secrets.sentryDsn) : monitor;
    reporter.report({ error: fields.error });
    await reporter.close(STOP_LIMIT_MS);
  }
  await service?.stop();
  await logWritten();
}

/** What is left at the exit is written there; but only a write before it tells that none can succeed. */
function logWritten(): Promise<unknown> {
  return settledWithin(LOG_LIMIT_MS, new Promise<void>((resolve) => logger.flush(() => resolve())));
}

function readConfigurationOrExit() {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

/** The SDK takes half a second to load, which nobody without a DSN waits for. */
async function openErrorMonitor(dsn: string | null): Promise<ErrorMonitor> {
  if (dsn === null) return noErrorMonitor;
  const { sentryErrorMonitor } = await import('./observability/sentry.ts');
  return sentryErrorMonitor(dsn, config.environment);
}

function failureOf(error: unknown): StartFailure {
  if (error instanceof WorkerStartFailed) return error.failure;
  if (isExpected(error)) return { fields: { reason: error.name }, message: error.message };
  return { fields: { error: describeError(error) }, message: 'Key Service could not start' };
}

/** Why a start fails through no fault of ours; these messages are written for the operator. */
function isExpected(error: unknown): error is Error {
  return [MasterKeyMismatch, DatabaseUnreachable, MigrationsFailed, PortUnavailable].some(
    (kind) => error instanceof kind,
  );
}
