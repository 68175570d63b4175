import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltService, productionEnvironment, startBuiltReplica } from '../support/built-service.ts';
import { type Canary, formsOf, newCanary } from '../support/canary.ts';
import type { Callers } from '../support/canary-requests.ts';
import { CanaryRun, dumpOf, found, processList } from '../support/canary-run.ts';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { answerJson, type ProviderStandIn, startProviderStandIn } from '../support/provider-stand-in.ts';
import { type SentryStandIn, startSentryStandIn } from '../support/sentry-stand-in.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

/** Shorter pieces of what is random stand in a long text by chance. */
const PIECE_OF_RANDOM = 12;

/** What the operator configures, in letters that are found again. */
const rootKey = newCanary('test-service-key-not-a-real-one-');
const clerkKey = newCanary('sk_test_not_real_');
/** With two letters more it is base64. */
const signingSecret = newCanary('whsec_AA');
const masterKey = randomBytes(32);
/** What callers send: where it belongs, and where it does not. */
const sent = newCanary('sk-');

let database: TestDatabase;
let proxy: TcpProxy;
let sentry: SentryStandIn;
let clerk: ClerkStandIn;
let provider: ProviderStandIn;
let service: BuiltService & { metricsPort: number };
let callers: Callers;
let run: CanaryRun;

beforeAll(async () => {
  database = await createTestDatabase();
  [proxy, sentry, clerk, provider] = await Promise.all([
    startTcpProxy(database.url),
    startSentryStandIn(),
    startClerkStandIn(),
    startProviderStandIn(),
  ]);
  service = await startBuiltReplica({
    ...productionEnvironment(proxy.through(database.url)),
    ENCRYPTION_KEY: masterKey.toString('hex'),
    KEY_SERVICE_API_KEY: rootKey.secret,
    CLERK_API_URL: clerk.environment.CLERK_API_URL,
    CLERK_SECRET_KEY: clerkKey.secret,
    CLERK_WEBHOOK_SIGNING_SECRET: signingSecret.secret,
    SENTRY_DSN: sentry.dsn,
    LOG_LEVEL: 'debug',
    LOG_SAMPLE_VALIDATIONS: '1',
    PROVIDER_BASE_URLS: `openai=http://127.0.0.1:${provider.port}`,
    PROVIDER_CHECKS_ALLOW_LOOPBACK: 'true',
  });
  callers = {
    serviceKey: rootKey.secret,
    apiKey: '',
    leakedKey: '',
    signingSecret: signingSecret.secret,
    clerkOrgId: newOrganization(),
  };
  run = new CanaryRun(service, sent.secret);
  callers.apiKey = (await run.post(callers, '/internal/api-keys', {})).key;
  callers.leakedKey = (await run.post(callers, '/internal/api-keys', {})).key;
  clerk.members.set(callers.clerkOrgId, ['user_canary']);
});
afterAll(async () => {
  await service.end();
  await Promise.all([proxy.close(), sentry.close(), clerk.close(), provider.close()]);
  await database.drop();
});

describe('fixed secrets, through every operation, asked rightly and wrongly', () => {
  const conditions: [condition: string, begin: () => unknown, end: () => unknown, expected: number[]][] = [
    ['all is well', () => {}, () => {}, [200, 201, 400, 401, 404]],
    [
      'Clerk and the provider answer with errors',
      () => {
        clerk.behaviour = { status: 500 };
        provider.answer = (response) => answerJson(response, 500, { error: sent.secret });
      },
      () => {
        clerk.behaviour = {};
      },
      [200, 201, 400, 401],
    ],
    [
      'what is stored was altered',
      () => execute(database.url, `update key_service.provider_key_versions set sealed = sealed || '\\x00'::bytea`),
      () => {},
      [200, 400, 401, 500],
    ],
    [
      'data keys do not open',
      () => execute(database.url, `update key_service.data_keys set wrapped = wrapped || '\\x00'::bytea`),
      () => {},
      [400, 401, 503],
    ],
    ['tables are missing', () => renameTables('', '_gone'), () => renameTables('_gone', ''), [400, 401, 500]],
    ['the database is away', () => proxy.cut(), () => proxy.restore(), [400, 401, 503]],
  ];

  it.each(conditions)(
    'are asked for while %s',
    async (_condition, begin, end, expected) => {
      await run.post(callers, '/internal/keys', { provider: 'openai', apiKey: sent.secret });
      await begin();
      try {
        const statuses = await run.askEverything(callers);
        expect(Object.keys(statuses).map(Number)).toEqual(expect.arrayContaining(expected));
      } finally {
        await end();
      }
    },
    60_000,
  );

  it('stand nowhere: not in logs, metrics, the error monitor, errors, the database, the process list', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${service.metricsPort}/metrics`)).text();
    const processes = await processList();
    const rows = await dumpOf(database.url);
    await service.end();
    const envelopes = sentry.envelopes.map(({ headers, text }) => headers + text).join('\n');
    const places = { told: run.told.join('\n'), output: service.output(), metrics, envelopes, rows, processes };
    // It looked where something stands.
    expect(sentry.events().length).toBeGreaterThan(0);
    for (const text of Object.values(places)) expect(text.length).toBeGreaterThan(1_000);
    expect(rows).toContain(callers.clerkOrgId);
    expect(processes).toContain('dist/main.js');

    const canaries: Record<string, Canary['formsIn']> = {
      'the root key': rootKey.formsIn,
      "Clerk's key": clerkKey.formsIn,
      'the signing secret': signingSecret.formsIn,
      'the master key': formsOf(masterKey.toString('hex'), PIECE_OF_RANDOM),
      'the bytes of the master key': formsOf(masterKey, PIECE_OF_RANDOM),
      'what was sent': sent.formsIn,
    };
    for (const [index, key] of run.issued.entries())
      canaries[`issued ${index}`] = formsOf(key.slice(-44, -6), PIECE_OF_RANDOM);
    expect(found(canaries, places)).toEqual([]);
  });
});

const TABLES = ['api_keys', 'provider_keys'];
async function renameTables(from: string, to: string): Promise<void> {
  for (const table of TABLES) {
    await execute(database.url, `alter table key_service.${table}${from} rename to ${table}${to}`);
  }
}
