import type { Server } from 'node:http';
import { AuditLog } from '../audit/audit-log.ts';
import { auditEndpoints } from '../audit/endpoints.ts';
import { connectClerk } from '../clerk/clerk.ts';
import type { DataKeys } from '../data-keys/data-keys.ts';
import type { ChangeFeed } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { Drain } from '../http/drain.ts';
import { IdempotentAnswers } from '../idempotency/idempotent-answers.ts';
import { Metrics } from '../observability/metrics.ts';
import type { RateLimits } from '../rate-limits/rate-limits.ts';
import { RevealGate } from '../reveal-freezes/reveal-gate.ts';
import { usageEndpoints } from '../usage-reports/endpoints.ts';
import { UsageReports } from '../usage-reports/usage-reports.ts';
import { composeApiKeys } from './api-keys.ts';
import { composeAudit } from './audit.ts';
import { type Background, joinBackground } from './background.ts';
import { composeDataKeys } from './data-keys.ts';
import { composeDatabase } from './database.ts';
import type { Foundation } from './foundation.ts';
import { composeHealth } from './health.ts';
import { composeHttp } from './http.ts';
import { composeJanitor } from './janitor.ts';
import { composeLeakReports } from './leak-reports.ts';
import { composeOrganizations } from './organizations.ts';
import { composeProviderKeys } from './provider-keys.ts';
import { composeRateLimits } from './rate-limits.ts';
import { composeServiceKeys } from './service-keys.ts';
import { sharesOf } from './shares.ts';
import { composeUsage } from './usage.ts';

/** The rooms joined, ready to listen; nothing has been asked of the outside yet. */
export interface KeyService {
  server: Server;
  database: Database;
  /** null where there is only a pooler. */
  changeFeed: ChangeFeed | null;
  dataKeys: DataKeys;
  metrics: Metrics;
  rateLimits: RateLimits;
  background: Background;
  drain: Drain;
}

/** The one place where rooms are joined. What a room has to do with others on the way is in the file of its name. */
export function compose({ expressPrototypes = 'at-birth', ...foundation }: Foundation): KeyService {
  const { config, secrets, logger, monitor, servers, keyring, checker } = foundation;
  const metrics = new Metrics();
  const { database, changeFeed, changes } = composeDatabase({ config, servers, logger, metrics });
  const dataKeys = composeDataKeys({ database, changes, keyring, logger });
  const clerk = connectClerk({ ...config.clerk, secretKey: secrets.clerkSecretKey, logger, metrics });
  const recording = composeAudit({ database, dataKeys, logger, metrics });
  const { audit } = recording;
  const usage = composeUsage({ config, database, logger, metrics });
  const rateLimits = composeRateLimits({ redisUrl: secrets.redisUrl, logger, metrics });
  const gate = new RevealGate({ database, changes });
  const shares = sharesOf(config);
  const drain = new Drain();

  const serviceKeys = composeServiceKeys({
    config,
    rootKeys: secrets.serviceKeys,
    database,
    audit,
    changes,
    lastUsed: usage.serviceKeys,
    share: shares.serviceKeys,
  });
  const { service, isRootKey, isServiceKey } = serviceKeys;
  const shared = { config, database, audit, changes, service, logger, metrics };
  const organizations = composeOrganizations({ ...shared, clerk, webhookSecret: secrets.clerkWebhookSigningSecret });
  const apiKeys = composeApiKeys({
    ...shared,
    clerk,
    dataKeys,
    gate,
    isServiceKey,
    rateLimits,
    usage: usage.apiKeys,
    share: shares.apiKeys,
  });
  const providerKeys = composeProviderKeys({
    ...shared,
    dataKeys,
    gate,
    client: apiKeys.client,
    checker,
    lastUsed: usage.providerKeys,
    share: shares.providerKeys,
  });
  metrics.caches.watch('api-keys', () => apiKeys.cache.statistics);
  metrics.caches.watch('provider-keys', () => providerKeys.cache.statistics);
  metrics.caches.watch('service-keys', () => serviceKeys.cache.statistics);

  const server = composeHttp({
    config,
    endpoints: [
      // First, for these are asked for a thousand times as often as all others, and Express goes through them in order.
      ...apiKeys.holdersEndpoints,
      ...providerKeys.holdersEndpoints,
      ...apiKeys.endpoints,
      ...composeHealth({ database, dataKeys, changeFeed, clerk, drain, logger }),
      ...providerKeys.endpoints,
      ...serviceKeys.endpoints,
      ...composeLeakReports({ ...shared, isRootKey }),
      ...organizations.endpoints,
      ...usageEndpoints(new UsageReports(database), service),
      ...auditEndpoints(new AuditLog(database), service),
    ],
    idempotency: new IdempotentAnswers({
      database,
      dataKeys,
      auditKeys: recording.keys,
      audit,
      gate,
      onOutcome: (outcome) => metrics.keyedRequests.inc({ outcome }),
    }),
    drain,
    expressPrototypes,
    logger,
    metrics,
    monitor,
  });
  const background = joinBackground({
    clerk,
    endingSweep: organizations.endingSweep,
    janitor: composeJanitor({ database, usageSweeps: usage.sweeps, logger, metrics }),
    changeFeed,
    rateLimits,
    usage,
    audit: recording,
  });
  return { server, database, changeFeed, dataKeys, metrics, rateLimits, background, drain };
}
