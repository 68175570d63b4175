import type { Server } from 'node:http';
import { revokeLeakedApiKeys } from './api-keys/leaked-store.ts';
import { AuditLog } from './audit/audit-log.ts';
import { auditEndpoints } from './audit/endpoints.ts';
import { connectClerk } from './clerk/clerk.ts';
import { webhookEndpoints } from './clerk/endpoints.ts';
import { composeApiKeys } from './compose-api-keys.ts';
import { type ComposedAudit, composeAudit } from './compose-audit.ts';
import { composeOrganizations } from './compose-organizations.ts';
import { composeRateLimits } from './compose-rate-limits.ts';
import { type ComposedUsage, composeUsage } from './compose-usage.ts';
import type { Config, Secrets } from './config.ts';
import { DataKeys } from './data-keys/data-keys.ts';
import { ChangeFeed, noChangeFeed } from './database/change-feed/change-feed.ts';
import { notifyThrough } from './database/change-feed/notify.ts';
import { type Database, openDatabase } from './database/database.ts';
import type { DatabaseServers } from './database/reach.ts';
import type { Keyring } from './encryption/keyring.ts';
import { healthEndpoints } from './health/endpoints.ts';
import { Health } from './health/health.ts';
import { createApp } from './http/app.ts';
import { Drain } from './http/drain.ts';
import type { ExpressPrototypes } from './http/express-prototypes.ts';
import { createHttpServer } from './http/server.ts';
import { IdempotentAnswers } from './idempotency/idempotent-answers.ts';
import { removeExpiredReplies } from './idempotency/reply-store.ts';
import { Janitor } from './janitor/janitor.ts';
import { leakReportEndpoints } from './leak-reports/endpoints.ts';
import { LeakReports } from './leak-reports/leak-reports.ts';
import { describeError } from './observability/describe-error.ts';
import type { ErrorMonitor } from './observability/error-monitor.ts';
import type { Logger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import { RequestLog } from './observability/request-log.ts';
import { requestReporter } from './observability/request-reporter.ts';
import { DefaultRateLimits } from './organizations/default-rate-limits.ts';
import type { EndingSweep } from './organizations/ending-sweep.ts';
import { organizationEndpoints } from './organizations/endpoints.ts';
import { defaultRateLimitEndpoints } from './organizations/rate-limit-endpoints.ts';
import { suspensionEndpoints } from './organizations/suspension-endpoints.ts';
import { Suspensions } from './organizations/suspensions.ts';
import { providerKeyEndpoints } from './provider-keys/endpoints.ts';
import { holderEndpoint } from './provider-keys/holder-endpoint.ts';
import { KeyOpener } from './provider-keys/key-opener.ts';
import { KeySources } from './provider-keys/key-sources.ts';
import { KeyStates } from './provider-keys/key-states.ts';
import { KeyVersions } from './provider-keys/key-versions.ts';
import { platformKeyEndpoints } from './provider-keys/platform-endpoints.ts';
import { ProviderKeys } from './provider-keys/provider-keys.ts';
import { RecordedReveals } from './provider-keys/recorded-reveals.ts';
import { sourceEndpoints } from './provider-keys/source-endpoints.ts';
import { stateEndpoints } from './provider-keys/state-endpoints.ts';
import { versionEndpoints } from './provider-keys/version-endpoints.ts';
import { providerEndpoints } from './providers/endpoints.ts';
import { type ProviderChecker, providerChecker } from './providers/provider-checker.ts';
import type { RateLimits } from './rate-limits/rate-limits.ts';
import { revealFreezeEndpoints } from './reveal-freezes/endpoints.ts';
import { RevealFreezes } from './reveal-freezes/reveal-freezes.ts';
import { RevealGate } from './reveal-freezes/reveal-gate.ts';
import { serviceKeyEndpoints } from './service-keys/endpoints.ts';
import { KnownServices } from './service-keys/known-services.ts';
import { revokeLeakedServiceKeys } from './service-keys/leaked-store.ts';
import { rootKeyTest, serviceAuthentication, serviceKeyTest } from './service-keys/service-authentication.ts';
import { ServiceKeys } from './service-keys/service-keys.ts';
import { usageEndpoints } from './usage-reports/endpoints.ts';
import { UsageReports } from './usage-reports/usage-reports.ts';

export interface Foundation {
  config: Config;
  secrets: Secrets;
  logger: Logger;
  monitor: ErrorMonitor;
  servers: DatabaseServers;
  keyring: Keyring;
  /** For tests alone: asks providers in place of the real one. */
  checker?: ProviderChecker | undefined;
  /** For tests alone. */
  expressPrototypes?: ExpressPrototypes;
}

/** The rooms joined, ready to listen; nothing has been asked of the outside yet. */
export interface KeyService {
  server: Server;
  database: Database;
  /** null where there is only a pooler. */
  changeFeed: ChangeFeed | null;
  dataKeys: DataKeys;
  metrics: Metrics;
  usage: ComposedUsage;
  rateLimits: RateLimits;
  endingSweep: EndingSweep;
  janitor: Janitor;
  drain: Drain;
  audit: ComposedAudit;
  /** Stops what runs in the background. */
  close: () => void;
}

/** Of what caches may use. There are far more requests with an API key than reveals, and few services. */
const CACHE_SHARES = { apiKeys: 0.75, providerKeys: 0.23, serviceKeys: 0.02 };
/**
 * Of CACHE_MAX_BYTES, what may be in use at once: of what was evicted V8 lets about as much pile up before it collects it.
 * The rest is what the process would grow by beyond the bound; `npm run bench -- growth` measures it.
 */
const IN_USE_SHARE = 0.5;

/** Of the pool, so that look-ups and the counting of uses never keep probes and changes from a connection. */
const CONNECTION_SHARES = { apiKeys: 0.4, uses: 0.2, providerKeys: 0.2, serviceKeys: 0.1 };
const connections = (poolMax: number, share: number) => Math.max(1, Math.floor(poolMax * share));

/** The one place where rooms are joined. */
export function compose({
  config,
  secrets,
  logger,
  monitor,
  servers,
  keyring,
  checker: givenChecker,
  expressPrototypes = 'at-birth',
}: Foundation): KeyService {
  const metrics = new Metrics();
  const database = openDatabase({
    server: servers.pool,
    poolMax: config.database.poolMax,
    onIdleConnectionLost: () => logger.warn('an idle database connection was lost'),
  });
  metrics.watchPool(database.poolState);
  const changeFeed =
    servers.direct === null
      ? null
      : new ChangeFeed({
          server: servers.direct,
          notify: notifyThrough(database),
          leaseMs: config.cache.leaseMs,
          onLease(held) {
            if (held) logger.info('the change feed is followed: validations are answered from memory');
            else logger.warn('the change feed is late or lost: every validation reads the database');
          },
          onChange: ({ kind }) => metrics.changes.inc({ kind }),
          onProbe: (roundTripMs) => metrics.changeFeedProbe.observe(roundTripMs / 1000),
        });
  const changes = changeFeed ?? noChangeFeed;
  metrics.watchLease(() => changes.holdsLease);
  const dataKeys = new DataKeys({
    database,
    keyring,
    onDamaged: (dataKeyId) => logger.error({ dataKeyId }, 'a data key does not open and was retired; it was altered'),
  });
  changes.subscribe((change) => {
    if (change.kind === 'data-key-removed') dataKeys.forget(change.dataKeyId);
    // One that fails comes again with the connection whose loss it was about.
    if (change.kind === 'everything-changed') dataKeys.forgetRemoved().catch(() => {});
  });
  const clerk = connectClerk({ ...config.clerk, secretKey: secrets.clerkSecretKey, logger, metrics });

  const audit = composeAudit({ database, dataKeys, logger, metrics });
  const { endings, endingSweep, onClerkEvent } = composeOrganizations({
    config,
    database,
    audit: audit.audit,
    changes,
    clerk,
    logger,
  });

  const usage = composeUsage({ config, database, logger, metrics });

  const cacheMaxBytes = (what: keyof typeof CACHE_SHARES) =>
    Math.floor(config.cache.maxBytes * IN_USE_SHARE * CACHE_SHARES[what]);
  const services = new KnownServices({
    database,
    changes,
    lastUsed: usage.serviceKeys,
    cacheMaxBytes: cacheMaxBytes('serviceKeys'),
    lookUpsAtOnce: connections(config.database.poolMax, CONNECTION_SHARES.serviceKeys),
  });
  const isRootKey = rootKeyTest(secrets.serviceKeys);
  const service = serviceAuthentication(isRootKey, services);
  const rateLimits = composeRateLimits({ redisUrl: secrets.redisUrl, logger, metrics });
  const gate = new RevealGate({ database, changes });
  const apiKeys = composeApiKeys({
    config,
    database,
    audit: audit.audit,
    changes,
    clerk,
    usage: usage.apiKeys,
    onValidated: (outcome) => metrics.validations.inc({ outcome }),
    rateLimits,
    service,
    isServiceKey: serviceKeyTest(isRootKey, services),
    onGuessRefused: () => metrics.guessesRefused.inc(),
    cacheMaxBytes: cacheMaxBytes('apiKeys'),
    lookUpsAtOnce: connections(config.database.poolMax, CONNECTION_SHARES.apiKeys),
    usesAtOnce: connections(config.database.poolMax, CONNECTION_SHARES.uses),
    dataKeys,
    gate,
    onUnreadable(facts) {
      metrics.unreadableSecrets.inc();
      logger.error(facts, 'the copy of an API key does not open');
    },
  });
  const opener = new KeyOpener(dataKeys, (facts) => {
    metrics.unreadableSecrets.inc();
    logger.error(facts, 'a stored provider key does not open');
  });
  const reveals = new RecordedReveals(audit.audit, opener, gate);
  const providerKeys = new ProviderKeys({
    database,
    audit: audit.audit,
    changes,
    cacheMaxBytes: cacheMaxBytes('providerKeys'),
    lookUpsAtOnce: connections(config.database.poolMax, CONNECTION_SHARES.providerKeys),
    opener,
    reveals,
    lastUsed: usage.providerKeys,
  });
  const serviceKeys = new ServiceKeys(database, audit.audit, changes, config.apiKeyPrefix);
  const checker =
    givenChecker ??
    providerChecker({
      baseUrls: config.providerBaseUrls,
      onChecked({ outcome, ...facts }) {
        metrics.providerChecks.inc({ outcome });
        if (outcome === 'unreachable') logger.warn(facts, 'a provider could not say whether a key is good');
        if (outcome === 'busy') logger.warn(facts, 'a provider was not asked about a key: too many checks at once');
      },
    });
  const versions = new KeyVersions({ database, audit: audit.audit, changes, dataKeys, opener, checker });
  const states = new KeyStates({ database, audit: audit.audit, reveals, checker });

  metrics.caches.watch('api-keys', () => apiKeys.cache.statistics);
  metrics.caches.watch('provider-keys', () => providerKeys.cache.statistics);
  metrics.caches.watch('service-keys', () => services.cache.statistics);

  const drain = new Drain();
  const isDraining = () => drain.draining;
  const health = new Health({
    database,
    dataKeys,
    changeFeed: changeFeed === null ? 'disabled' : () => changeFeed.holdsLease,
    clerk: clerk.state,
    isDraining,
    onChange(able, checks, error) {
      if (able) logger.info({ checks }, 'ready again');
      else logger.error({ checks, error: describeError(error) }, 'not ready');
    },
  });
  const leakReports = new LeakReports({
    audit: audit.audit,
    changes,
    revokeApiKeys: revokeLeakedApiKeys,
    revokeServiceKeys: revokeLeakedServiceKeys,
    isRootKey,
    onRootKeyLeaked: (requestId) =>
      logger.error({ requestId }, 'the root key was reported as found in public: rotate KEY_SERVICE_API_KEY now'),
  });
  const idempotency = new IdempotentAnswers({
    database,
    dataKeys,
    auditKeys: audit.keys,
    audit: audit.audit,
    gate,
    onOutcome: (outcome) => metrics.keyedRequests.inc({ outcome }),
  });
  const janitor = new Janitor({
    database,
    sweeps: [...usage.sweeps, { name: 'idempotent replies', sweep: removeExpiredReplies }],
    onBatch: (what, rows) => metrics.sweptRows.inc({ what }, rows),
    onSwept: (what, rows) => logger.info({ what, rows }, 'what had expired was removed'),
    onFailure: (what, error) =>
      logger.warn({ what, error: describeError(error) }, 'what has expired could not be removed; it is tried again'),
  });
  const report = requestReporter(new RequestLog(logger, config.logSampleValidations), metrics, monitor);

  const app = createApp({
    endpoints: [
      // First, for these are asked for a thousand times as often as all others, and Express goes through them in order.
      ...apiKeys.holdersEndpoints,
      holderEndpoint(providerKeys, apiKeys.client),
      ...apiKeys.endpoints,
      ...healthEndpoints(health),
      ...providerKeyEndpoints(providerKeys, versions, service),
      ...versionEndpoints(versions, service),
      ...stateEndpoints(states, service),
      ...sourceEndpoints(new KeySources({ database, audit: audit.audit, changes }), service),
      ...platformKeyEndpoints({ providerKeys, versions, states }, service),
      ...providerEndpoints(service),
      ...serviceKeyEndpoints(serviceKeys, service),
      ...leakReportEndpoints(leakReports, service),
      ...organizationEndpoints(endings, service),
      ...revealFreezeEndpoints(new RevealFreezes(audit.audit, changes), service),
      ...defaultRateLimitEndpoints(new DefaultRateLimits({ database, audit: audit.audit, changes }), service),
      ...suspensionEndpoints(new Suspensions(audit.audit, changes), service),
      ...(secrets.clerkWebhookSigningSecret === null
        ? []
        : webhookEndpoints(secrets.clerkWebhookSigningSecret, onClerkEvent)),
      ...usageEndpoints(new UsageReports(database), service),
      ...auditEndpoints(new AuditLog(database), service),
    ],
    checkResponses: config.environment !== 'production',
    docsEnabled: config.docsEnabled,
    errorDocsUrl: config.errorDocsUrl,
    trustProxy: config.trustProxy,
    idempotency,
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
    changeFeed,
    dataKeys,
    metrics,
    usage,
    rateLimits,
    endingSweep,
    janitor,
    audit,
    drain,
    close: clerk.close,
  };
}
