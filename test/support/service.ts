import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { loadConfig } from '../../src/config/config.ts';
import { type ErrorMonitor, noErrorMonitor } from '../../src/observability/error-monitor.ts';
import { createLogger } from '../../src/observability/logger.ts';
import type { ProviderChecker } from '../../src/providers/provider-checker.ts';
import { start } from '../../src/start.ts';
import { type Client, clientOf, SERVICE_KEY } from './client.ts';
import { execute } from './database-server.ts';
import { createTestDatabase } from './test-database.ts';
import { SIGNING_SECRET } from './webhooks.ts';

export interface TestService extends Client {
  url: string;
  port: number;
  metricsPort: number | null;
  databaseUrl: string;
  environment: NodeJS.ProcessEnv;
  /** Everything logged so far, a parsed line each. */
  logLines: Record<string, unknown>[];
  /** Runs a statement on the service's database, past the service. */
  sql<Row extends Record<string, unknown>>(statement: string, values?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

interface Options {
  environment?: NodeJS.ProcessEnv;
  monitor?: ErrorMonitor;
  providerChecker?: ProviderChecker;
  /** Leads the service to its database another way, through a proxy say. */
  leadDatabase?: (url: string) => Promise<string>;
  /** Leads its change feed there another way. */
  leadChangeFeed?: (url: string) => Promise<string>;
  /** Another replica of this one: on the same database, with the same keys. Stopped before it. */
  beside?: Pick<TestService, 'databaseUrl' | 'environment'>;
}

/** Everything works with Express's own way of giving prototypes too; CI runs the tests both ways. */
const EXPRESS_PROTOTYPES = process.env['TEST_EXPRESS_PROTOTYPES'] === 'per-request' ? 'per-request' : 'at-birth';

/** The service as it ships, listening on a port of its own, on a database of its own. */
export async function startService({
  environment = {},
  monitor = noErrorMonitor,
  providerChecker,
  leadDatabase = async (url) => url,
  leadChangeFeed,
  beside,
}: Options = {}): Promise<TestService> {
  const database =
    beside === undefined ? await createTestDatabase() : { url: beside.databaseUrl, drop: () => Promise.resolve() };
  const variables = {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    KEY_SERVICE_DATABASE_URL: await leadDatabase(database.url),
    KEY_SERVICE_API_KEY: SERVICE_KEY,
    ENCRYPTION_KEY: beside?.environment['ENCRYPTION_KEY'] ?? randomBytes(32).toString('hex'),
    ...(leadChangeFeed === undefined ? {} : { KEY_SERVICE_DIRECT_DATABASE_URL: await leadChangeFeed(database.url) }),
    CLERK_WEBHOOK_SIGNING_SECRET: SIGNING_SECRET,
    ORGANIZATION_SWEEP_MS: '50',
    USAGE_FLUSH_MS: '50',
    LOG_SAMPLE_VALIDATIONS: '1',
    ...environment,
  };
  const logLines: Record<string, unknown>[] = [];
  const output = new Writable({
    write(chunk, _encoding, done) {
      logLines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const { config, secrets } = loadConfig(variables);
  const service = await start({
    config,
    secrets,
    logger: createLogger(config, { output }),
    monitor,
    checker: providerChecker,
    expressPrototypes: EXPRESS_PROTOTYPES,
  }).catch(async (error) => {
    await database.drop();
    throw error;
  });
  const url = `http://127.0.0.1:${service.port}`;
  return {
    ...clientOf(url),
    url,
    port: service.port,
    metricsPort: service.metricsPort,
    databaseUrl: database.url,
    environment: variables,
    logLines,
    sql: (statement, values) => execute(database.url, statement, values),
    async stop() {
      await service.stop();
      await database.drop();
    },
  };
}
