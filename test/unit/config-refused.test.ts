import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { DEVELOPMENT, MASTER_KEY, messageOf, PRODUCTION, problemsOf } from './environment.ts';

const DATABASE_URL = PRODUCTION.KEY_SERVICE_DATABASE_URL;

describe('an invalid variable', () => {
  it.each([
    ['NODE_ENV', ['staging', 'Production', 'prod']],
    ['KEY_SERVICE_DATABASE_URL', ['database', 'mysql://u:p@h/d', 'https://h/d', `${DATABASE_URL}?sslmode=yes`]],
    ['ENCRYPTION_KEY', ['abc', MASTER_KEY.slice(1), `${MASTER_KEY}0`, `g${MASTER_KEY.slice(1)}`, `0x${MASTER_KEY}`]],
    [
      'ENCRYPTION_KEY',
      [
        'aws-kms://',
        'arn:aws:kms:eu-central-1:000000000000:key/1',
        'aws-kms://arn:aws:kms:eu-central-1:000000000000:alias/keys',
        'aws-kms://arn:aws:s3:eu-central-1:000000000000:key/1',
        'aws-kms://arn:aws:kms:eu-central-1:0000:key/1',
      ],
    ],
    [
      'ENCRYPTION_KEYS_ACCEPTED',
      ['aws-kms://x', 'abc', `${MASTER_KEY};${MASTER_KEY}`, `${MASTER_KEY},abc`, `${MASTER_KEY}0`],
    ],
    ['CLERK_API_URL', ['clerk', 'ftp://clerk.example', 'clerk.example']],
    ['SENTRY_DSN', ['sentry', 'file:///etc/passwd']],
    ['REDIS_URL', ['redis', 'http://redis.example', 'redis://', 'redis://h/name', 'redis://h:port', 'redis://h/1/2']],
    ['ERROR_DOCS_URL', ['errors', 'javascript:alert(1)']],
    ['PORT', ['-1', '65536', '3001.5', '1e3', '0x10', 'http', '3001 3002', '99999999999999999999']],
    ['METRICS_PORT', ['-1', '65536', 'off']],
    ['CLERK_TIMEOUT_MS', ['0', '-5', '1.5', '2147483648', 'soon']],
    ['CLERK_STALE_MAX_MS', ['0', '2147483648', 'Infinity']],
    [
      'CLERK_WEBHOOK_SIGNING_SECRET',
      ['secret', 'whsec_', 'whsec_c2hvcnQ=', `whsec_${'A'.repeat(29)}`, `${'A'.repeat(32)}`],
    ],
    ['ORGANIZATION_GRACE_DAYS', ['-1', '0.5', '3651', 'a week']],
    ['ORGANIZATION_SWEEP_MS', ['0', '2147483648']],
    ['USAGE_FLUSH_MS', ['0', '2147483648']],
    ['USAGE_RETENTION_DAYS', ['0', '-1', '36501', 'forever', '1.5']],
    ['JANITOR_MS', ['0', '2147483648']],
    ['LOG_LEVEL', ['verbose', 'INFO', 'trace']],
    ['DOCS_ENABLED', ['yes', '1', 'TRUE']],
    ['API_KEY_PREFIX', ['K', 'ks_', '1ks', 'a'.repeat(17), 'k-s', 'ks.*']],
    ['DATABASE_POOL_MAX', ['0', '3', '1001', 'many']],
    ['CACHE_LEASE_MS', ['0', '99', '60001', 'long']],
    ['CACHE_MAX_BYTES', ['0', '1048575', '128MiB']],
    ['KEY_SERVICE_DIRECT_DATABASE_URL', ['mysql://x', 'nowhere', 'postgresql://h/d?sslmode=maybe']],
    ['LOG_SAMPLE_VALIDATIONS', ['-1', '0.5', '1000000001', 'all']],
    ['PROVIDER_CHECKS_ALLOW_LOOPBACK', ['yes', '1', 'TRUE']],
    [
      'PROVIDER_BASE_URLS',
      [
        'https://gateway.example',
        'unknown=https://gateway.example',
        'openai=http://gateway.example',
        'openai=https://user:secret@gateway.example',
        'openai=https://10.0.0.1',
        'openai=https://localhost',
        'openai=http://127.0.0.1:4000',
        'openai=https://one.example,openai=https://two.example',
      ],
    ],
    ['GUESSING_LIMIT', ['-1', '1.5', '1000001', 'off']],
    ['GUESSING_WINDOW_SECONDS', ['0', '86401', '1m']],
    [
      'TRUST_PROXY',
      [
        ...['0', '33', '-1', '1.5', 'true', 'false', 'all', 'localhost', 'proxy.example', 'loopback,true'],
        ...['0.0.0.0/0', '::/0', '10.0.0.0/8,1.2.3.4/0', '::ffff:0:0/96', '10.0.0.0/33', '10.0.0', ',', 'loopback,'],
      ],
    ],
    ['AUDIT_RETENTION_DAYS', ['0', '-1', '36501', 'forever', '1.5']],
    ['AUDIT_HEADS_LOG_MS', ['0', '999', '2147483648']],
    ['KEY_SERVICE_WORKERS', ['0', '-1', '257', '2.5', '1e2', 'AUTO', 'all', 'auto 2', '99999999999999999999']],
  ])('is refused by its name, with one problem: %s', (name, values) => {
    for (const value of values) {
      const problems = problemsOf({ ...PRODUCTION, [name]: value });
      expect(problems, value).toHaveLength(1);
      expect(problems[0]?.startsWith(`${name} `), value).toBe(true);
    }
  });

  it.each([
    ['PORT', ['0', '1', '65535']],
    ['CLERK_TIMEOUT_MS', ['1', '2147483647']],
    ['DATABASE_POOL_MAX', ['4', '1000']],
    ['CACHE_LEASE_MS', ['100', '60000']],
    ['CACHE_MAX_BYTES', ['1048576']],
    ['LOG_SAMPLE_VALIDATIONS', ['0', '1', '1000000000']],
    ['AUDIT_RETENTION_DAYS', ['1', '36500', '']],
    ['USAGE_RETENTION_DAYS', ['1', '36500', '']],
    ['AUDIT_HEADS_LOG_MS', ['1000', '2147483647']],
    ['KEY_SERVICE_WORKERS', ['1', '256', 'auto']],
    ['REDIS_URL', ['redis://h', 'redis://h:6379/', 'rediss://user:secret@redis.example:6380/15', 'redis://[::1]:1/0']],
    ['API_KEY_PREFIX', ['a', 'ks2', 'a'.repeat(16)]],
    ['PROVIDER_BASE_URLS', ['openai=https://gateway.example/v1', 'openai=https://a.example,xai=https://a.example']],
    ['GUESSING_LIMIT', ['0', '1000000', '']],
    ['GUESSING_WINDOW_SECONDS', ['1', '86400']],
    ['TRUST_PROXY', ['1', '32', 'loopback', '10.0.0.0/1,::1', '::/1', '']],
    ['LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent']],
    ['KEY_SERVICE_DATABASE_URL', [DATABASE_URL, DATABASE_URL.replace('postgresql', 'postgres')]],
  ])('is none at the limits of %s', (name, values) => {
    expect(values.map((value) => messageOf({ ...PRODUCTION, [name]: value }))).toEqual(values.map(() => ''));
  });

  it('is no sslmode that PostgreSQL or its driver knows', () => {
    const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca&sslrootcert=ca.pem', 'verify-full', 'no-verify'];
    for (const mode of modes) {
      expect(messageOf({ ...PRODUCTION, KEY_SERVICE_DATABASE_URL: `${DATABASE_URL}?sslmode=${mode}` }), mode).toBe('');
    }
  });

  it('is no second sslmode, which another reader might take for the first', () => {
    for (const query of ['sslmode=verify-full&sslmode=disable', 'ssl=true']) {
      expect(problemsOf({ ...PRODUCTION, KEY_SERVICE_DATABASE_URL: `${DATABASE_URL}?${query}` })).toEqual([
        'KEY_SERVICE_DATABASE_URL must say with one sslmode how TLS is used',
      ]);
    }
  });

  it.each(['KEY_SERVICE_API_KEY', 'KEY_SERVICE_API_KEY_PREVIOUS', 'CLERK_SECRET_KEY'])(
    '%s is no text that a header cannot carry',
    (name) => {
      for (const value of ['ключ-ключ-ключ-ключ', 'not a real service key', 'not-a-real\nservice-key']) {
        expect(problemsOf({ ...PRODUCTION, [name]: value })).toEqual([
          `${name} must be visible ASCII characters without white space`,
        ]);
      }
    },
  );

  it('SENTRY_DSN is no URL that the SDK would print and ignore', () => {
    for (const value of [
      'https://not-a-key@sentry.example',
      'https://sentry.example/1',
      'https://a@b@sentry.example/1',
    ]) {
      expect(problemsOf({ ...PRODUCTION, SENTRY_DSN: value })).toEqual([
        'SENTRY_DSN must be a DSN, as Sentry shows it for the project',
      ]);
    }
    expect(messageOf({ ...PRODUCTION, SENTRY_DSN: 'https://notarealkey@sentry.example/1' })).toBe('');
  });

  it('is no verify-ca without the authority to verify with', () => {
    expect(problemsOf({ ...PRODUCTION, KEY_SERVICE_DATABASE_URL: `${DATABASE_URL}?sslmode=verify-ca` })).toEqual([
      'KEY_SERVICE_DATABASE_URL must have an sslrootcert beside sslmode=verify-ca: the authority to verify with',
    ]);
  });
});

describe('in production', () => {
  it.each(['KEY_SERVICE_API_KEY', 'KEY_SERVICE_API_KEY_PREVIOUS'])('%s has at least sixteen characters', (name) => {
    expect(problemsOf({ ...PRODUCTION, [name]: 'x'.repeat(15) })).toEqual([`${name} must have at least 16 characters`]);
    expect(messageOf({ ...PRODUCTION, [name]: 'x'.repeat(16) })).toBe('');
    expect(messageOf({ ...DEVELOPMENT, [name]: 'x' })).toBe('');
  });

  it('white space does not make a service key long enough', () => {
    expect(problemsOf({ ...PRODUCTION, KEY_SERVICE_API_KEY: `${' '.repeat(16)}short` })).toHaveLength(1);
  });

  it.each([
    ['all bytes equal', '00'.repeat(32)],
    ['counting up', Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('hex')],
    ['counting down', Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index)).toString('hex')],
    ['a repeated pattern', 'DEADBEEF'.repeat(8)],
  ])('a weak ENCRYPTION_KEY is refused, and only there: %s', (_what, weak) => {
    expect(problemsOf({ ...PRODUCTION, ENCRYPTION_KEY: weak })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEY is too weak for production/),
    ]);
    expect(problemsOf({ ...PRODUCTION, ENCRYPTION_KEYS_ACCEPTED: `${MASTER_KEY},${weak}` })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEYS_ACCEPTED has one that is too weak for production/),
    ]);
    expect(messageOf({ ...DEVELOPMENT, ENCRYPTION_KEY: weak, ENCRYPTION_KEYS_ACCEPTED: weak })).toBe('');
    expect(messageOf({ ...DEVELOPMENT, NODE_ENV: 'test', ENCRYPTION_KEY: weak })).toBe('');
  });

  it('is what is checked when NODE_ENV is empty or not set', () => {
    expect(problemsOf({ ...PRODUCTION, NODE_ENV: ' ', CLERK_SECRET_KEY: '' })).toHaveLength(1);
    expect(problemsOf({ ...PRODUCTION, NODE_ENV: undefined, CLERK_SECRET_KEY: '' })).toHaveLength(1);
  });
});

describe('the message about a bad configuration', () => {
  const CANARY = 'canary8f3b';
  const value = fc.oneof(
    fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })).map((parts) => parts.join(CANARY)),
    fc.constantFrom(
      CANARY,
      `postgresql://user:${CANARY}@host/db?sslmode=${CANARY}`,
      `postgresql://user:${CANARY}@host:bad/db`,
      `https://${CANARY}@host:99999/1`,
      `http://${CANARY}/`,
      `${CANARY}${'0'.repeat(54)}`,
      `1${CANARY}`,
      `openai=https://${CANARY}@gateway.example`,
      `${CANARY}=https://gateway.example`,
      `openai=http://localhost/${CANARY}`,
    ),
  );
  const names = [
    ...[
      'NODE_ENV',
      'KEY_SERVICE_DATABASE_URL',
      'ENCRYPTION_KEY',
      'KEY_SERVICE_API_KEY',
      'KEY_SERVICE_API_KEY_PREVIOUS',
    ],
    ...['CLERK_SECRET_KEY', 'CLERK_API_URL', 'CLERK_TIMEOUT_MS', 'CLERK_STALE_MAX_MS', 'SENTRY_DSN', 'HOST', 'PORT'],
    ...['REDIS_URL', 'METRICS_HOST', 'METRICS_PORT', 'LOG_LEVEL', 'DOCS_ENABLED', 'ERROR_DOCS_URL', 'API_KEY_PREFIX'],
    ...[
      'DATABASE_POOL_MAX',
      'USAGE_FLUSH_MS',
      'USAGE_RETENTION_DAYS',
      'JANITOR_MS',
      'LOG_SAMPLE_VALIDATIONS',
      'PROVIDER_BASE_URLS',
    ],
    ...['PROVIDER_CHECKS_ALLOW_LOOPBACK', 'ENCRYPTION_KEYS_ACCEPTED'],
    ...['AUDIT_RETENTION_DAYS', 'AUDIT_HEADS_LOG_MS'],
  ];
  const environments = fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] });

  it('never holds any part of a value, nor does the error around it', () => {
    let refused = 0;
    fc.assert(
      fc.property(environments, fc.constantFrom({}, PRODUCTION, DEVELOPMENT), (broken, base) => {
        try {
          loadConfig({ ...base, ...broken });
        } catch (error) {
          refused += 1;
          expect(inspect(error, { depth: null, showHidden: true })).not.toContain(CANARY);
        }
      }),
    );
    expect(refused).toBeGreaterThan(50);
  });

  it('names each problem once', () => {
    fc.assert(
      fc.property(environments, (environment) => {
        const problems = problemsOf(environment);
        expect(new Set(problems).size).toBe(problems.length);
      }),
    );
  });
});
