import type { Server } from 'node:http';
import { ApiKeys } from './api-keys/api-keys.ts';
import { clientAuthentication } from './api-keys/client-authentication.ts';
import { apiKeyEndpoints } from './api-keys/endpoints.ts';
import { KeyValidation } from './api-keys/validation.ts';
import { validationEndpoint } from './api-keys/validation-endpoint.ts';
import { connectClerk } from './clerk/clerk.ts';
import type { Config, Secrets } from './config.ts';
import { DataKeys } from './data-keys/data-keys.ts';
import { type Database, openDatabase } from './database/database.ts';
import { masterKeyFromBytes } from './encryption/master-key.ts';
import { healthEndpoints } from './health/endpoints.ts';
import { Health } from './health/health.ts';
import { createApp } from './http/app.ts';
import { Drain } from './http/drain.ts';
import type { ExpressPrototypes } from './http/express-prototypes.ts';
import { createHttpServer } from './http/server.ts';
import { describeError } from './observability/describe-error.ts';
import type { ErrorMonitor } from './observability/error-monitor.ts';
import type { Logger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import { RequestLog } from './observability/request-log.ts';
import { requestReporter } from './observability/request-reporter.ts';
import { providerKeyEndpoints } from './provider-keys/endpoints.ts';
import { ProviderKeys } from './provider-keys/provider-keys.ts';
import { serviceAuthentication } from './service-keys/service-authentication.ts';
import { LastUsed, type WriteLastUsed } from './usage/last-used.ts';
import { writeApiKeyUses, writeProviderKeyUses } from './usage/last-used-store.ts';

export interface Foundation {
  config: Config;
  secrets: Secrets;
  logger: Logger;
  monitor: ErrorMonitor;
  /** The database's URL with its TLS mode settled. */
  databaseUrl: string;
  /** For tests alone. */
  expressPrototypes?: ExpressPrototypes;
}

/** The rooms joined, ready to listen; nothing has been asked of the outside yet. */
export interface KeyService {
  server: Server;
  database: Database;
  dataKeys: DataKeys;
  metrics: Metrics;
  lastUsed: readonly LastUsed[];
  drain: Drain;
  /** Stops what runs in the background. */
  close: () => void;
}

/** The one place where rooms are joined. */
export function compose({
  config,
  secrets,
  logger,
  monitor,
  databaseUrl,
  expressPrototypes = 'at-birth',
}: Foundation): KeyService {
  const metrics = new Metrics();
  const database = openDatabase({
    url: databaseUrl,
    poolMax: config.database.poolMax,
    onIdleConnectionLost: () => logger.warn('an idle database connection was lost'),
  });
  metrics.watchPool(database.poolState);
  const dataKeys = new DataKeys(masterKeyFromBytes(secrets.encryptionKey), {
    onDamaged: (dataKeyId) => logger.error({ dataKeyId }, 'a data key does not open and was retired; it was altered'),
  });
  const clerk = connectClerk({ ...config.clerk, secretKey: secrets.clerkSecretKey, logger, metrics });

  const keepLastUsed = (write: WriteLastUsed) =>
    new LastUsed(write, (error) =>
      logger.warn(
        { error: describeError(error) },
        'last-used times could not be written; they are kept for the next try',
      ),
    );
  const apiKeyUses = keepLastUsed(writeApiKeyUses(database));
  const providerKeyUses = keepLastUsed(writeProviderKeyUses(database));

  const validation = new KeyValidation({
    database,
    membership: clerk.membership,
    lastUsed: apiKeyUses,
    prefix: config.apiKeyPrefix,
  });
  const apiKeys = new ApiKeys(database, config.apiKeyPrefix);
  const providerKeys = new ProviderKeys({
    database,
    dataKeys,
    lastUsed: providerKeyUses,
    onUnreadable(facts) {
      metrics.unreadableSecrets.inc();
      logger.error(facts, 'a stored provider key does not open');
    },
  });

  const drain = new Drain();
  const isDraining = () => drain.draining;
  const health = new Health({
    database,
    dataKeys,
    clerk: clerk.state,
    isDraining,
    onChange(able, checks, error) {
      if (able) logger.info({ checks }, 'ready again');
      else logger.error({ checks, error: describeError(error) }, 'not ready');
    },
  });
  const service = serviceAuthentication(secrets.serviceKeys);
  const client = clientAuthentication(validation);
  const report = requestReporter(new RequestLog(logger, config.logSampleValidations), metrics, monitor);

  const app = createApp({
    endpoints: [
      ...healthEndpoints(health),
      validationEndpoint(validation, client),
      ...apiKeyEndpoints(apiKeys, service),
      ...providerKeyEndpoints(providerKeys, service, client),
    ],
    checkResponses: config.environment !== 'production',
    docsEnabled: config.docsEnabled,
    errorDocsUrl: config.errorDocsUrl,
    isDraining,
    observer: {
      started: () => drain.requestStarted(),
      ended(request) {
        drain.requestEnded();
        report(request);
      },
    },
  });

  return {
    server: createHttpServer(app, {
      errorDocsUrl: config.errorDocsUrl,
      onRefused: (status) => metrics.refusedRequests.inc({ status }),
      expressPrototypes,
    }),
    database,
    dataKeys,
    metrics,
    lastUsed: [apiKeyUses, providerKeyUses],
    drain,
    close: clerk.close,
  };
}
