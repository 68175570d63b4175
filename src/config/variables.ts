import { z } from 'zod';
import { databaseUrl, providerBaseUrls, redisUrl, trustProxy, url } from './addresses.ts';
import { masterKey, masterKeys } from './master-keys.ts';
import { headerValue, LONGEST_TIMER_MS, milliseconds, oneOf, port, whole, workers } from './values.ts';

/** Two for look-ups of API keys, one for those of provider keys, and one for changes and probes. Services are few. */
const SMALLEST_POOL = 4;
/** A probe's round trip has to fit into a quarter of it. */
const SHORTEST_LEASE_MS = 100;
/** A revoked key may be accepted for so long when everything fails; nobody should want more. */
const LONGEST_LEASE_MS = 60_000;
const MEBIBYTE = 1024 * 1024;
const SMALLEST_CACHE_BYTES = MEBIBYTE;
const LARGEST_CACHE_BYTES = 64 * 1024 * MEBIBYTE;
const LONGEST_GRACE_DAYS = 3_650;
/** "whsec_" and base64 of at least 16 bytes, as Clerk's dashboard shows it. */
const WEBHOOK_SECRET = /^whsec_(?=.{22})(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** A day. */
const LONGEST_GUESSING_WINDOW_SECONDS = 86_400;
/** A hundred years. */
const LONGEST_RETENTION_DAYS = 36_500;
/** More often would be a log of its own. */
const SHORTEST_HEADS_LOG_MS = 1_000;

/** Every variable of the environment that is read. What is wrong is told in their order. */
export const variables = z.object({
  NODE_ENV: oneOf('production', 'development', 'test').default('production'),
  KEY_SERVICE_DATABASE_URL: databaseUrl,
  KEY_SERVICE_DIRECT_DATABASE_URL: databaseUrl.optional(),
  ENCRYPTION_KEY: masterKey,
  ENCRYPTION_KEYS_ACCEPTED: masterKeys.prefault(''),
  KEY_SERVICE_API_KEY: headerValue,
  KEY_SERVICE_API_KEY_PREVIOUS: headerValue.optional(),
  CLERK_SECRET_KEY: headerValue.optional(),
  CLERK_WEBHOOK_SIGNING_SECRET: z
    .string()
    .regex(WEBHOOK_SECRET, 'must be a signing secret, as Clerk shows it for the endpoint: whsec_ and base64')
    .optional(),
  CLERK_API_URL: url(['https:', 'http:']).optional(),
  CLERK_TIMEOUT_MS: milliseconds().prefault('800'),
  CLERK_STALE_MAX_MS: milliseconds().prefault('3600000'),
  REDIS_URL: redisUrl.optional(),
  SENTRY_DSN: z
    .string()
    .regex(/^https?:\/\/\w+(:\w*)?@[^/@]+\/([^@]*\/)?\d+$/, 'must be a DSN, as Sentry shows it for the project')
    .optional(),
  HOST: z.string().default('0.0.0.0'),
  PORT: port().prefault('3001'),
  TRUST_PROXY: trustProxy.optional(),
  GUESSING_LIMIT: whole(0, 1_000_000).prefault('100'),
  GUESSING_WINDOW_SECONDS: whole(1, LONGEST_GUESSING_WINDOW_SECONDS).prefault('60'),
  METRICS_HOST: z.string().default('127.0.0.1'),
  METRICS_PORT: port().optional(),
  LOG_LEVEL: oneOf('debug', 'info', 'warn', 'error', 'silent').default('info'),
  LOG_SAMPLE_VALIDATIONS: whole(0, 1_000_000_000).prefault('1000'),
  DOCS_ENABLED: oneOf('true', 'false').default('true'),
  ERROR_DOCS_URL: url(['https:', 'http:']).default('https://key-service.example/errors'),
  API_KEY_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9]{0,15}$/, 'must be 1 to 16 lower-case letters and digits, a letter first')
    .default('ks'),
  DATABASE_POOL_MAX: whole(SMALLEST_POOL, 1_000).prefault('10'),
  CACHE_LEASE_MS: whole(SHORTEST_LEASE_MS, LONGEST_LEASE_MS).prefault('2000'),
  CACHE_MAX_BYTES: whole(SMALLEST_CACHE_BYTES, LARGEST_CACHE_BYTES).prefault(String(128 * MEBIBYTE)),
  KEY_SERVICE_WORKERS: workers().prefault('1'),
  ORGANIZATION_GRACE_DAYS: whole(0, LONGEST_GRACE_DAYS).prefault('7'),
  ORGANIZATION_SWEEP_MS: milliseconds().prefault('60000'),
  USAGE_FLUSH_MS: milliseconds().prefault('5000'),
  USAGE_RETENTION_DAYS: whole(1, LONGEST_RETENTION_DAYS).prefault('400'),
  JANITOR_MS: milliseconds().prefault('60000'),
  PROVIDER_BASE_URLS: providerBaseUrls.optional(),
  PROVIDER_CHECKS_ALLOW_LOOPBACK: oneOf('true', 'false').default('false'),
  AUDIT_RETENTION_DAYS: whole(1, LONGEST_RETENTION_DAYS).optional(),
  AUDIT_HEADS_LOG_MS: whole(SHORTEST_HEADS_LOG_MS, LONGEST_TIMER_MS).prefault('600000'),
});
export type Variables = z.output<typeof variables>;

export const databaseVariables = variables.pick({
  KEY_SERVICE_DATABASE_URL: true,
  KEY_SERVICE_DIRECT_DATABASE_URL: true,
});
const encryptionVariables = variables.pick({ ENCRYPTION_KEY: true, ENCRYPTION_KEYS_ACCEPTED: true });
export const maintenanceVariables = databaseVariables.extend(encryptionVariables.shape);
export type DatabaseVariables = z.output<typeof databaseVariables>;
export type EncryptionVariables = z.output<typeof encryptionVariables>;
