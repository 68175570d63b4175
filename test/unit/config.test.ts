import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { databaseSecrets, loadConfig, maintenanceSecrets } from '../../src/config/config.ts';
import { SIGNING_SECRET } from '../support/webhooks.ts';
import { DEVELOPMENT, MASTER_KEY, messageOf, PRODUCTION, problemsOf, REQUIRED } from './environment.ts';

describe('a good configuration', () => {
  it('needs three variables in development, and has documented defaults for the rest', () => {
    const { config, secrets } = loadConfig(DEVELOPMENT);
    expect(config).toMatchObject({
      environment: 'development',
      host: '0.0.0.0',
      port: 3001,
      apiKeyPrefix: 'ks',
      docsEnabled: true,
      logLevel: 'info',
      logSampleValidations: 1_000,
      metrics: null,
      workers: 1,
      clerk: { apiUrl: null, timeoutMs: 800, staleMaxMs: 3_600_000 },
      cache: { leaseMs: 2_000, maxBytes: 134_217_728 },
      providerBaseUrls: [],
      trustProxy: null,
      guessing: { limit: 100, windowSeconds: 60 },
      organizations: { graceDays: 7, sweepMs: 60_000 },
      audit: { retentionDays: null, headsLogMs: 600_000 },
    });
    expect(secrets).toEqual({
      databaseUrl: DEVELOPMENT.KEY_SERVICE_DATABASE_URL,
      directDatabaseUrl: null,
      encryptionKey: { kind: 'bytes', key: Buffer.from(MASTER_KEY, 'hex') },
      encryptionKeysAccepted: [],
      serviceKeys: [DEVELOPMENT.KEY_SERVICE_API_KEY],
      clerkSecretKey: null,
      clerkWebhookSigningSecret: null,
      redisUrl: null,
      sentryDsn: null,
    });
  });

  it('needs four in production, which is also what no NODE_ENV means', () => {
    expect(loadConfig(PRODUCTION).config.environment).toBe('production');
    expect(loadConfig({ ...PRODUCTION, NODE_ENV: undefined }).config.environment).toBe('production');
  });

  it('takes every variable that may be set', () => {
    const { config, secrets } = loadConfig({
      ...PRODUCTION,
      KEY_SERVICE_API_KEY_PREVIOUS: 'the-previous-fake-service-key',
      CLERK_API_URL: 'http://127.0.0.1:9',
      CLERK_TIMEOUT_MS: '200',
      CLERK_STALE_MAX_MS: '1000',
      CLERK_WEBHOOK_SIGNING_SECRET: SIGNING_SECRET,
      ORGANIZATION_GRACE_DAYS: '0',
      ORGANIZATION_SWEEP_MS: '1000',
      SENTRY_DSN: 'https://public@sentry.example/1',
      REDIS_URL: 'rediss://redis.example',
      HOST: '127.0.0.1',
      PORT: '4000',
      METRICS_HOST: '0.0.0.0',
      METRICS_PORT: '9100',
      LOG_LEVEL: 'warn',
      LOG_SAMPLE_VALIDATIONS: '0',
      AUDIT_RETENTION_DAYS: '400',
      AUDIT_HEADS_LOG_MS: '60000',
      DOCS_ENABLED: 'false',
      API_KEY_PREFIX: 'acme',
    });
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 4000,
      apiKeyPrefix: 'acme',
      audit: { retentionDays: 400, headsLogMs: 60_000 },
      docsEnabled: false,
      logLevel: 'warn',
      logSampleValidations: 0,
      metrics: { host: '0.0.0.0', port: 9100 },
      clerk: { apiUrl: 'http://127.0.0.1:9', timeoutMs: 200, staleMaxMs: 1_000 },
      organizations: { graceDays: 0, sweepMs: 1_000 },
    });
    expect(secrets).toMatchObject({
      serviceKeys: [PRODUCTION.KEY_SERVICE_API_KEY, 'the-previous-fake-service-key'],
      redisUrl: 'rediss://redis.example',
      clerkSecretKey: 'sk_test_not_a_real_key',
      clerkWebhookSigningSecret: SIGNING_SECRET,
      sentryDsn: 'https://public@sentry.example/1',
    });
  });

  it('trusts as many proxies as it is told, or those of some addresses', () => {
    const trusted = (value: string) => loadConfig({ ...PRODUCTION, TRUST_PROXY: value }).config.trustProxy;
    expect([trusted('1'), trusted('32')]).toEqual([1, 32]);
    expect(trusted('loopback')).toEqual(['loopback']);
    expect(trusted(' uniquelocal , linklocal,10.1.2.3/8,2001:DB8::1/128')).toEqual([
      'uniquelocal',
      'linklocal',
      '10.0.0.0/8',
      '2001:db8::1',
    ]);
  });

  it('asks providers at gateways, on this machine only where that is allowed', () => {
    const gateways = { PROVIDER_BASE_URLS: 'openai=https://gateway.example/v1, xai=http://localhost:4000' };
    expect(loadConfig({ ...PRODUCTION, ...gateways, PROVIDER_CHECKS_ALLOW_LOOPBACK: 'true' }).config).toMatchObject({
      providerBaseUrls: [
        { provider: 'openai', url: 'https://gateway.example/v1', reach: 'public' },
        { provider: 'xai', url: 'http://localhost:4000', reach: 'loopback' },
      ],
    });
    expect(problemsOf({ ...PRODUCTION, ...gateways })).toEqual([
      'PROVIDER_BASE_URLS must not lead to this machine unless PROVIDER_CHECKS_ALLOW_LOOPBACK is true',
    ]);
  });

  it('listens for metrics on loopback alone unless told otherwise', () => {
    expect(loadConfig({ ...PRODUCTION, METRICS_PORT: '9100' }).config.metrics).toEqual({
      host: '127.0.0.1',
      port: 9100,
    });
  });

  it('has as many workers as it is told, or as there are cores for it', () => {
    const workers = (value: string) => loadConfig({ ...PRODUCTION, KEY_SERVICE_WORKERS: value }).config.workers;
    expect([workers('1'), workers('8'), workers('auto')]).toEqual([1, 8, availableParallelism()]);
  });

  it('takes white space around a value for no part of it', () => {
    const padded = Object.entries(PRODUCTION).map(([name, value]) => [name, ` \t${value}\r\n`]);
    expect(loadConfig(Object.fromEntries(padded))).toEqual(loadConfig(PRODUCTION));
  });

  it('takes an empty value, or one of white space, for a missing one', () => {
    const config = loadConfig({ ...PRODUCTION, PORT: '', METRICS_PORT: ' ', SENTRY_DSN: '\t', HOST: '' });
    expect(config).toEqual(loadConfig(PRODUCTION));
  });

  it('does not mind variables that are not its own', () => {
    expect(loadConfig({ ...PRODUCTION, PATH: '/bin', npm_config_x: 'y' })).toEqual(loadConfig(PRODUCTION));
  });

  it('takes a master key in either case', () => {
    const upper = loadConfig({ ...PRODUCTION, ENCRYPTION_KEY: MASTER_KEY.toUpperCase() });
    expect(upper.secrets.encryptionKey).toEqual({ kind: 'bytes', key: Buffer.from(MASTER_KEY, 'hex') });
  });

  it('takes the ARN of a key in AWS KMS for a master key, beside others', () => {
    const keyArn = 'arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-4000-8000-000000000001';
    const { secrets } = loadConfig({
      ...PRODUCTION,
      ENCRYPTION_KEY: `aws-kms://${keyArn}`,
      ENCRYPTION_KEYS_ACCEPTED: `${MASTER_KEY},aws-kms://${keyArn.replace('aws:', 'aws-us-gov:').replace('key/', 'key/mrk-')}`,
    });
    expect(secrets.encryptionKey).toEqual({ kind: 'aws-kms', keyArn });
    expect(secrets.encryptionKeysAccepted.map(({ kind }) => kind)).toEqual(['bytes', 'aws-kms']);
  });

  it('takes any number of master keys that are accepted, the current one and the same ones again among them', () => {
    const acceptedOf = (value?: string) =>
      loadConfig({ ...PRODUCTION, ENCRYPTION_KEYS_ACCEPTED: value }).secrets.encryptionKeysAccepted;
    const other = `${MASTER_KEY.slice(2)}${MASTER_KEY.slice(0, 2)}`;
    const source = (hex: string) => ({ kind: 'bytes', key: Buffer.from(hex, 'hex') });
    expect(acceptedOf()).toEqual([]);
    expect(acceptedOf(' ')).toEqual([]);
    expect(acceptedOf(MASTER_KEY)).toEqual([source(MASTER_KEY)]);
    expect(acceptedOf(` ${other} ,\n${MASTER_KEY},, ${other},`)).toEqual([other, MASTER_KEY, other].map(source));
  });

  it('keeps every secret apart from what may be printed', () => {
    const { config } = loadConfig({ ...PRODUCTION, SENTRY_DSN: 'https://public@sentry.example/1' });
    const printed = inspect(config, { depth: null });
    for (const name of REQUIRED) expect(printed).not.toContain(PRODUCTION[name]);
    expect(printed).not.toContain('sentry.example');
  });
});

describe('a missing variable', () => {
  it.each(REQUIRED)('stops production when it is %s, with one problem that says what it is', (name) => {
    const problems = problemsOf({ ...PRODUCTION, [name]: undefined });
    expect(problems).toEqual([expect.stringMatching(new RegExp(`^${name} is missing: .{20}`))]);
    expect(problemsOf({ ...PRODUCTION, [name]: '' })).toEqual(problems);
    expect(problemsOf({ ...PRODUCTION, [name]: ' \n' })).toEqual(problems);
  });

  it('is named with all the others at once', () => {
    expect(problemsOf({}).map((problem) => problem.split(' ')[0])).toEqual(expect.arrayContaining([...REQUIRED]));
    expect(problemsOf({})).toHaveLength(REQUIRED.length);
  });

  it.each(['development', 'test'])('may be CLERK_SECRET_KEY in %s, and no other', (environment) => {
    expect(problemsOf({ NODE_ENV: environment })).toHaveLength(REQUIRED.length - 1);
    expect(messageOf({ NODE_ENV: environment })).not.toContain('CLERK_SECRET_KEY');
  });

  it('is named beside those that are invalid', () => {
    const message = messageOf({ ...PRODUCTION, KEY_SERVICE_API_KEY: undefined, PORT: 'x', ENCRYPTION_KEY: 'short' });
    for (const name of ['KEY_SERVICE_API_KEY is missing', 'PORT must', 'ENCRYPTION_KEY must']) {
      expect(message).toContain(name);
    }
  });
});

describe('maintenanceSecrets', () => {
  const { KEY_SERVICE_DATABASE_URL, ENCRYPTION_KEY } = PRODUCTION;

  it('needs the database and the master keys, and nothing else', () => {
    const secrets = maintenanceSecrets({
      KEY_SERVICE_DATABASE_URL,
      ENCRYPTION_KEY,
      ENCRYPTION_KEYS_ACCEPTED: MASTER_KEY,
    });
    const source = { kind: 'bytes', key: Buffer.from(MASTER_KEY, 'hex') };
    expect(secrets).toEqual({
      databaseUrl: KEY_SERVICE_DATABASE_URL,
      directDatabaseUrl: null,
      encryptionKey: source,
      encryptionKeysAccepted: [source],
    });
  });

  it('refuses what the service would refuse', () => {
    expect(() => maintenanceSecrets({})).toThrow(/KEY_SERVICE_DATABASE_URL is missing[\s\S]*ENCRYPTION_KEY is missing/);
    const weak = { KEY_SERVICE_DATABASE_URL, ENCRYPTION_KEY: '00'.repeat(32) };
    expect(() => maintenanceSecrets(weak)).toThrow(/too weak for production/);
    expect(maintenanceSecrets({ ...weak, NODE_ENV: 'development' }).encryptionKey).toEqual({
      kind: 'bytes',
      key: Buffer.alloc(32),
    });
  });
});

describe('databaseSecrets', () => {
  it('needs nothing but the database', () => {
    const url = PRODUCTION.KEY_SERVICE_DATABASE_URL;
    expect(databaseSecrets({ KEY_SERVICE_DATABASE_URL: ` ${url} ` })).toEqual({
      databaseUrl: url,
      directDatabaseUrl: null,
    });
  });

  it('refuses a missing or invalid one by name', () => {
    expect(() => databaseSecrets({})).toThrow(/KEY_SERVICE_DATABASE_URL is missing/);
    expect(() => databaseSecrets({ KEY_SERVICE_DATABASE_URL: 'mysql://x' })).toThrow(/KEY_SERVICE_DATABASE_URL must/);
  });
});
