import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { weakness } from './encryption/weak-key.ts';
import { readTrustProxy, TRUST_PROXY_PROBLEM, type TrustProxy } from './http/trust-proxy.ts';
import { BaseUrlProblem, type ProviderBaseUrl, readBaseUrls } from './providers/base-urls.ts';

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

/** Where a master key is: 32 bytes that were given, or kept by AWS KMS. */
export type MasterKeySource = { kind: 'bytes'; key: Buffer } | { kind: 'aws-kms'; keyArn: string };

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

/** Names every missing or invalid variable in one message, and never a value. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';

  constructor(problems: readonly string[]) {
    super(`Key Service cannot start. Set these environment variables:\n${problems.map((p) => `  - ${p}`).join('\n')}`);
  }
}

const SHORTEST_PRODUCTION_SERVICE_KEY = 16;
/** Two for look-ups of API keys, one for those of provider keys, and one for changes and probes. Services are few. */
const SMALLEST_POOL = 4;
/** A probe's round trip has to fit into a quarter of it. */
const SHORTEST_LEASE_MS = 100;
/** A revoked key may be accepted for so long when everything fails; nobody should want more. */
const LONGEST_LEASE_MS = 60_000;
const MEBIBYTE = 1024 * 1024;
const SMALLEST_CACHE_BYTES = MEBIBYTE;
const LARGEST_CACHE_BYTES = 64 * 1024 * MEBIBYTE;
/** setTimeout's own limit (2^31 - 1 ms); anything longer would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;
const MOST_WORKERS = 256;
const LONGEST_GRACE_DAYS = 3_650;
/** "whsec_" and base64 of at least 16 bytes, as Clerk's dashboard shows it. */
const WEBHOOK_SECRET = /^whsec_(?=.{22})(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** A day. */
const LONGEST_GUESSING_WINDOW_SECONDS = 86_400;
/** A hundred years. */
const LONGEST_RETENTION_DAYS = 36_500;
/** More often would be a log of its own. */
const SHORTEST_HEADS_LOG_MS = 1_000;

const milliseconds = () => whole(1, LONGEST_TIMER_MS);
/** 0 lets the system choose, for tests. */
const port = () => whole(0, 65_535);
/** libpq's modes, and node-postgres's own name for "require". */
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];
const oneOf = <const T extends string[]>(...values: T) => z.enum(values, `must be one of ${values.join(', ')}`);
const url = (protocols: readonly string[]) =>
  z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    error: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });

/** What travels in a header: visible ASCII, the only text that arrives as it was sent (RFC 9110 §5.5). */
const headerValue = z.string().regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters without white space');

/** Says what is wrong with how a database URL asks for TLS. Called for anything, a string that is no URL too. */
function tlsProblem(databaseUrl: string): string | null {
  if (!URL.canParse(databaseUrl)) return null;
  const { searchParams } = new URL(databaseUrl);
  const modes = searchParams.getAll('sslmode');
  // Two readers of one URL might see two modes.
  if (modes.length > 1 || searchParams.has('ssl')) return 'must say with one sslmode how TLS is used';
  const [mode = 'disable'] = modes;
  if (!SSL_MODES.includes(mode)) return `must have an sslmode that is one of ${SSL_MODES.join(', ')}`;
  if (mode === 'verify-ca' && !searchParams.has('sslrootcert')) {
    return 'must have an sslrootcert beside sslmode=verify-ca: the authority to verify with';
  }
  return null;
}

const databaseUrl = url(['postgresql:', 'postgres:']).superRefine((value, context) => {
  const message = tlsProblem(value);
  if (message !== null) context.addIssue({ code: 'custom', message });
});

/** The path is the number of a database. */
const redisUrl = url(['redis:', 'rediss:']).refine(
  (value) => !URL.canParse(value) || (new URL(value).hostname !== '' && /^\/?\d{0,5}$/.test(new URL(value).pathname)),
  'must name a host, and at most the number of a database after it',
);

const providerBaseUrls = z.string().transform((list, context) => {
  try {
    return readBaseUrls(list);
  } catch (error) {
    if (!(error instanceof BaseUrlProblem)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

const trustProxy = z.string().transform((text, context) => {
  const proxies = readTrustProxy(text);
  if (proxies !== null) return proxies;
  context.addIssue({ code: 'custom', message: TRUST_PROXY_PROBLEM });
  return z.NEVER;
});

const HEXADECIMAL_KEY = /^[0-9a-fA-F]{64}$/;
/** Of a key itself: an alias can be led to another one. */
const KMS_KEY = /^aws-kms:\/\/(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+)$/;
const A_MASTER_KEY =
  '64 hexadecimal characters (32 bytes): make one with `openssl rand -hex 32`; or aws-kms:// and the ARN of a key';

/** @param text has been found to be one */
function masterKeySource(text: string): MasterKeySource {
  const [, keyArn] = KMS_KEY.exec(text) ?? [];
  return keyArn === undefined ? { kind: 'bytes', key: Buffer.from(text, 'hex') } : { kind: 'aws-kms', keyArn };
}

const isMasterKey = (text: string) => HEXADECIMAL_KEY.test(text) || KMS_KEY.test(text);
const masterKey = z.string().refine(isMasterKey, `must be ${A_MASTER_KEY}`).transform(masterKeySource);

/** Separated by commas; white space around one, and a comma too many, are no part of any. */
const masterKeys = z
  .string()
  .transform(listed)
  .refine((keys) => keys.every(isMasterKey), `must be keys of ${A_MASTER_KEY}, with commas between`)
  .transform((keys) => keys.map(masterKeySource));

function listed(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

const variables = z.object({
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
type Variables = z.output<typeof variables>;
const databaseVariables = variables.pick({ KEY_SERVICE_DATABASE_URL: true, KEY_SERVICE_DIRECT_DATABASE_URL: true });
const encryptionVariables = variables.pick({ ENCRYPTION_KEY: true, ENCRYPTION_KEYS_ACCEPTED: true });
const maintenanceVariables = databaseVariables.extend(encryptionVariables.shape);

/**
 * Reads the environment once. White space around a value is no part of it, and an empty value is a missing one.
 *
 * @throws ConfigurationError
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): { config: Config; secrets: Secrets } {
  const parsed = variables.safeParse(trimmed(environment));
  const problems = parsed.success ? loopbackProblems(parsed.data) : parsed.error.issues.map(describe);
  problems.push(...productionProblems(trimmed(environment)));
  if (!parsed.success || problems.length > 0) throw new ConfigurationError([...new Set(problems)]);
  return { config: toConfig(parsed.data), secrets: toSecrets(parsed.data) };
}

/** The variables that work on the database alone needs. @throws ConfigurationError */
export function databaseSecrets(environment: NodeJS.ProcessEnv = process.env): DatabaseSecrets {
  const parsed = databaseVariables.safeParse(trimmed(environment));
  if (!parsed.success) throw new ConfigurationError(parsed.error.issues.map(describe));
  return toDatabaseSecrets(parsed.data);
}

/**
 * The variables that work on stored secrets needs: the database and the master keys, which have to be as good as the
 * service's own. @throws ConfigurationError
 */
export function maintenanceSecrets(environment: NodeJS.ProcessEnv = process.env): MaintenanceSecrets {
  const parsed = maintenanceVariables.safeParse(trimmed(environment));
  const problems = parsed.success ? [] : parsed.error.issues.map(describe);
  if (isProduction(trimmed(environment))) problems.push(...weakMasterKeys(trimmed(environment)));
  if (!parsed.success || problems.length > 0) throw new ConfigurationError([...new Set(problems)]);
  return { ...toDatabaseSecrets(parsed.data), ...toEncryptionSecrets(parsed.data) };
}

/** After how many days events of the audit log may be cut; null: never. @throws ConfigurationError */
export function auditRetentionDays(environment: NodeJS.ProcessEnv = process.env): number | null {
  const parsed = variables.pick({ AUDIT_RETENTION_DAYS: true }).safeParse(trimmed(environment));
  if (!parsed.success) throw new ConfigurationError(parsed.error.issues.map(describe));
  return parsed.data.AUDIT_RETENTION_DAYS ?? null;
}

function toConfig(v: Variables): Config {
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

function toDatabaseSecrets(v: z.output<typeof databaseVariables>): DatabaseSecrets {
  return {
    databaseUrl: v.KEY_SERVICE_DATABASE_URL,
    directDatabaseUrl: v.KEY_SERVICE_DIRECT_DATABASE_URL ?? null,
  };
}

function toEncryptionSecrets(v: z.output<typeof encryptionVariables>): EncryptionSecrets {
  return { encryptionKey: v.ENCRYPTION_KEY, encryptionKeysAccepted: v.ENCRYPTION_KEYS_ACCEPTED };
}

function toSecrets(v: Variables): Secrets {
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

/** What else listens on this machine may trust whoever comes from it; only the operator knows. */
function loopbackProblems(v: Variables): string[] {
  const hasLoopback = v.PROVIDER_BASE_URLS?.some(({ reach }) => reach === 'loopback') ?? false;
  if (!hasLoopback || v.PROVIDER_CHECKS_ALLOW_LOOPBACK === 'true') return [];
  return ['PROVIDER_BASE_URLS must not lead to this machine unless PROVIDER_CHECKS_ALLOW_LOOPBACK is true'];
}

/** What development may do without and production may not. */
function productionProblems(environment: NodeJS.ProcessEnv): string[] {
  if (!isProduction(environment)) return [];
  const problems = weakMasterKeys(environment);
  if (environment['CLERK_SECRET_KEY'] === undefined) problems.push(missing('CLERK_SECRET_KEY'));
  for (const name of ['KEY_SERVICE_API_KEY', 'KEY_SERVICE_API_KEY_PREVIOUS']) {
    const key = environment[name];
    if (key !== undefined && key.length < SHORTEST_PRODUCTION_SERVICE_KEY) {
      problems.push(`${name} must have at least ${SHORTEST_PRODUCTION_SERVICE_KEY} characters`);
    }
  }
  return problems;
}

function isProduction(environment: NodeJS.ProcessEnv): boolean {
  return (environment['NODE_ENV'] ?? 'production') === 'production';
}

function weakMasterKeys(environment: NodeJS.ProcessEnv): string[] {
  return ['ENCRYPTION_KEY', 'ENCRYPTION_KEYS_ACCEPTED'].flatMap((name) =>
    listed(environment[name] ?? '').flatMap((key) => {
      const weak = HEXADECIMAL_KEY.test(key) ? weakness(Buffer.from(key, 'hex')) : null;
      if (weak === null) return [];
      const what = name === 'ENCRYPTION_KEY' ? 'is' : 'has one that is';
      return [`${name} ${what} too weak for production (${weak}): make one with \`openssl rand -hex 32\``];
    }),
  );
}

function describe(issue: z.core.$ZodIssue): string {
  const name = String(issue.path[0]);
  // Variables are strings or absent, so a wrong type is an absent one.
  return issue.code === 'invalid_type' ? missing(name) : `${name} ${issue.message}`;
}

/** What each required variable is, said to the person who has not set it. */
const REQUIRED: Record<string, string> = {
  KEY_SERVICE_DATABASE_URL: 'the PostgreSQL database, as postgresql://user:password@host:5432/name',
  ENCRYPTION_KEY: 'the master key for provider keys, 64 hexadecimal characters from `openssl rand -hex 32`',
  CLERK_SECRET_KEY: "Clerk's secret key, from its dashboard under API keys",
  KEY_SERVICE_API_KEY: 'the root service key, sent in X-Service-Key, from `openssl rand -base64 32`',
};

function missing(name: string): string {
  return `${name} is missing: ${REQUIRED[name] ?? 'it has no default'}`;
}

function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, error)
    .transform(Number)
    .refine((value) => value >= min && value <= max, error);
}

/** `auto` is one for every core that this process may use. */
function workers() {
  const error = `must be a whole number from 1 to ${MOST_WORKERS}, or auto`;
  return z
    .string()
    .regex(/^(auto|\d{1,15})$/, error)
    .transform((value) => (value === 'auto' ? Math.min(availableParallelism(), MOST_WORKERS) : Number(value)))
    .refine((value) => value >= 1 && value <= MOST_WORKERS, error);
}

function trimmed(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const entries = Object.entries(environment).map(([name, value]) => [name, value?.trim() || undefined]);
  return Object.fromEntries(entries);
}
