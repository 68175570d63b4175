import type { TrustProxy } from '../http/trust-proxy.ts';
import type { ProviderBaseUrl } from '../providers/base-urls.ts';
import type { MasterKeySource } from './master-keys.ts';
import type { DatabaseVariables, EncryptionVariables, Variables } from './variables.ts';

/** Everything that may be printed, and nothing else. */
export interface Config {
  environment: 'production' | 'development' | 'test';
  host: string;
  port: number;
  /** null: no proxy is believed about where a request comes from. */
  trustProxy: TrustProxy | null;
  apiKeyPrefix: string;
  /** Keys that nobody issued, from one client, that are answered for in a window; limit 0: any number. */
  guessing: { limit: number; windowSeconds: number };
  docsEnabled: boolean;
  /** Where a copy of docs/errors.md can be read; the start of every problem's `type`. */
  errorDocsUrl: string;
  logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** One in so many good validations has a line in the log; 0: none. */
  logSampleValidations: number;
  /** null: no metrics server. */
  metrics: { host: string; port: number } | null;
  database: { poolMax: number };
  cache: { leaseMs: number; maxBytes: number };
  /** Processes that serve; 1 is this process alone. */
  workers: number;
  clerk: { apiUrl: string | null; timeoutMs: number; staleMaxMs: number };
  /** Where providers are asked about keys, instead of at their own addresses. */
  providerBaseUrls: readonly ProviderBaseUrl[];
  organizations: { graceDays: number; sweepMs: number };
  usageFlushMs: number;
  usageRetentionDays: number;
  /** How often what has expired is removed. */
  janitorMs: number;
  audit: {
    /** null: events are kept for ever. */
    retentionDays: number | null;
    /** How often the heads of chains that moved are logged. */
    headsLogMs: number;
  };
}

export interface DatabaseSecrets {
  databaseUrl: string;
  /** The server itself, where a pooler stands before it. */
  directDatabaseUrl: string | null;
}

export interface EncryptionSecrets {
  /** Wraps data keys. */
  encryptionKey: MasterKeySource;
  /** Open data keys beside it. */
  encryptionKeysAccepted: readonly MasterKeySource[];
}

/** What work on stored secrets needs. */
export interface MaintenanceSecrets extends DatabaseSecrets, EncryptionSecrets {}

/** Everything that must never be printed. */
export interface Secrets extends MaintenanceSecrets {
  /** The service keys that are accepted, the current one first. */
  serviceKeys: readonly string[];
  clerkSecretKey: string | null;
  /** Where rate limits are counted for all replicas; null: each counts alone. */
  redisUrl: string | null;
  /** null: Clerk sends no webhooks here. */
  clerkWebhookSigningSecret: string | null;
  sentryDsn: string | null;
}

export function toConfig(v: Variables): Config {
  return {
    environment: v.NODE_ENV,
    host: v.HOST,
    port: v.PORT,
    trustProxy: v.TRUST_PROXY ?? null,
    apiKeyPrefix: v.API_KEY_PREFIX,
    guessing: { limit: v.GUESSING_LIMIT, windowSeconds: v.GUESSING_WINDOW_SECONDS },
    docsEnabled: v.DOCS_ENABLED === 'true',
    errorDocsUrl: v.ERROR_DOCS_URL,
    logLevel: v.LOG_LEVEL,
    logSampleValidations: v.LOG_SAMPLE_VALIDATIONS,
    metrics: v.METRICS_PORT === undefined ? null : { host: v.METRICS_HOST, port: v.METRICS_PORT },
    database: { poolMax: v.DATABASE_POOL_MAX },
    cache: { leaseMs: v.CACHE_LEASE_MS, maxBytes: v.CACHE_MAX_BYTES },
    workers: v.KEY_SERVICE_WORKERS,
    clerk: { apiUrl: v.CLERK_API_URL ?? null, timeoutMs: v.CLERK_TIMEOUT_MS, staleMaxMs: v.CLERK_STALE_MAX_MS },
    providerBaseUrls: v.PROVIDER_BASE_URLS ?? [],
    organizations: { graceDays: v.ORGANIZATION_GRACE_DAYS, sweepMs: v.ORGANIZATION_SWEEP_MS },
    usageFlushMs: v.USAGE_FLUSH_MS,
    usageRetentionDays: v.USAGE_RETENTION_DAYS,
    janitorMs: v.JANITOR_MS,
    audit: { retentionDays: v.AUDIT_RETENTION_DAYS ?? null, headsLogMs: v.AUDIT_HEADS_LOG_MS },
  };
}

export function toDatabaseSecrets(v: DatabaseVariables): DatabaseSecrets {
  return {
    databaseUrl: v.KEY_SERVICE_DATABASE_URL,
    directDatabaseUrl: v.KEY_SERVICE_DIRECT_DATABASE_URL ?? null,
  };
}

export function toEncryptionSecrets(v: EncryptionVariables): EncryptionSecrets {
  return { encryptionKey: v.ENCRYPTION_KEY, encryptionKeysAccepted: v.ENCRYPTION_KEYS_ACCEPTED };
}

export function toSecrets(v: Variables): Secrets {
  return {
    ...toDatabaseSecrets(v),
    ...toEncryptionSecrets(v),
    serviceKeys: [v.KEY_SERVICE_API_KEY, v.KEY_SERVICE_API_KEY_PREVIOUS].filter((key) => key !== undefined),
    clerkSecretKey: v.CLERK_SECRET_KEY ?? null,
    redisUrl: v.REDIS_URL ?? null,
    clerkWebhookSigningSecret: v.CLERK_WEBHOOK_SIGNING_SECRET ?? null,
    sentryDsn: v.SENTRY_DSN ?? null,
  };
}
