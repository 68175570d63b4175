import closeWithGrace from 'close-with-grace';
import { ConfigurationError, loadConfig } from './config.ts';
import { MasterKeyMismatch } from './data-keys/data-keys.ts';
import { MigrationsFailed } from './database/migrations.ts';
import { DatabaseUnreachable } from './database/reach.ts';
import { describeError } from './observability/describe-error.ts';
import { type ErrorMonitor, noErrorMonitor } from './observability/error-monitor.ts';
import { createLogger } from './observability/logger.ts';
import { PortUnavailable, type RunningService, start } from './start.ts';

/** What an orchestrator usually waits before it kills. */
const STOP_LIMIT_MS = 10_000;

const { config, secrets } = readConfigurationOrExit();
const logger = createLogger(config);
const monitor = await openErrorMonitor(secrets.sentryDsn);
let service: RunningService | undefined;

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
});
let stopping = false;
for (const signal of SIGNALS) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    grace.close();
  });
}

try {
  service = await start({ config, secrets, logger, monitor });
} catch (error) {
  if (isExpected(error)) {
    logger.fatal({ reason: error.name }, error.message);
  } else {
    logger.fatal({ error: describeError(error) }, 'Key Service could not start');
    monitor.report({ error: describeError(error) });
  }
  await monitor.close(STOP_LIMIT_MS);
  process.exit(1);
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

/** Why a start fails through no fault of ours; these messages are written for the operator. */
function isExpected(error: unknown): error is Error {
  return [MasterKeyMismatch, DatabaseUnreachable, MigrationsFailed, PortUnavailable].some(
    (kind) => error instanceof kind,
  );
}
