import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { productionEnvironment, startBuiltReplica } from '../support/built-service.ts';
import { formsOf, newCanary } from '../support/canary.ts';
import type { Callers } from '../support/canary-requests.ts';
import { CanaryRun, dumpOf, found, processList } from '../support/canary-run.ts';
import { newOrganization } from '../support/client.ts';
import { KMS_KEY, type KmsStandIn, startKmsStandIn } from '../support/kms-stand-in.ts';
import { type SentryStandIn, startSentryStandIn } from '../support/sentry-stand-in.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

type Replica = Awaited<ReturnType<typeof startBuiltReplica>>;

/** Shorter pieces of what is random stand in a long text by chance. */
const PIECE_OF_RANDOM = 12;

const rootKey = newCanary('test-service-key-not-a-real-one-');
const signingSecret = newCanary('whsec_AA');
/** What the SDK signs its requests to KMS with. */
const awsSecret = newCanary('not-a-real-secret-access-key-');
const sent = newCanary('sk-');
const secrets = { serviceKey: rootKey.secret, signingSecret: signingSecret.secret };
/** While KMS behaves in each of four ways, and after a start without it. */
const TIMES_ASKED = 5;

let database: TestDatabase;
let sentry: SentryStandIn;
let kms: KmsStandIn;
let environment: NodeJS.ProcessEnv;
/** Knows no data key of an organisation: it was started when all of them were there. */
let replica: Replica;
let run: CanaryRun;
/** Of an organisation each, with a stored secret: what is asked for ends with its removal. */
const prepared: Callers[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
  [sentry, kms] = await Promise.all([startSentryStandIn(), startKmsStandIn()]);
  environment = {
    ...productionEnvironment(database.url),
    ...kms.environment,
    AWS_SECRET_ACCESS_KEY: awsSecret.secret,
    ENCRYPTION_KEY: `aws-kms://${KMS_KEY}`,
    KEY_SERVICE_API_KEY: rootKey.secret,
    CLERK_WEBHOOK_SIGNING_SECRET: signingSecret.secret,
    SENTRY_DSN: sentry.dsn,
    LOG_LEVEL: 'debug',
    LOG_SAMPLE_VALIDATIONS: '1',
  };
  const first = await startBuiltReplica(environment);
  const before = new CanaryRun(first, sent.secret);
  while (prepared.length < TIMES_ASKED) {
    const callers = { ...secrets, apiKey: '', leakedKey: '', clerkOrgId: newOrganization() };
    callers.apiKey = (await before.post(callers, '/internal/api-keys', {})).key;
    callers.leakedKey = (await before.post(callers, '/internal/api-keys', {})).key;
    await before.post(callers, '/internal/keys', { provider: 'openai', apiKey: sent.secret });
    prepared.push(callers);
  }
  await first.end();
  replica = await startBuiltReplica(environment);
  run = new CanaryRun(replica, sent.secret);
});
afterAll(async () => {
  await replica.end('SIGKILL');
  await Promise.all([sentry.close(), kms.close()]);
  await database.drop();
});

/** Whoever failed before is asked again after a while. */
async function isAsked(): Promise<void> {
  kms.behaviour = {};
  const save = async () => {
    const callers = { ...secrets, apiKey: '', leakedKey: '', clerkOrgId: newOrganization() };
    return (await run.post(callers, '/internal/keys', { provider: 'openai', apiKey: sent.secret })).version;
  };
  await expect.poll(save, { timeout: 10_000 }).toBe(1);
}

function next(): Callers {
  const callers = prepared.pop();
  if (callers === undefined) throw new Error('Nobody is left to ask');
  return callers;
}

describe('fixed secrets, through every operation, with the master key in AWS KMS', () => {
  it.each<[what: string, behaviour: KmsStandIn['behaviour']]>([
    ['breaks connections', { down: true }],
    ['answers with an error of its own', { error: 'KMSInternalException' }],
    ['refuses', { error: 'AccessDeniedException' }],
    ['never answers', { hang: true }],
  ])(
    'are asked for while it %s',
    async (_what, behaviour) => {
      await isAsked();
      kms.behaviour = behaviour;
      const statuses = await run.askEverything(next());
      expect(Object.keys(statuses).map(Number)).toEqual(expect.arrayContaining([200, 400, 401, 503]));
    },
    60_000,
  );

  it('and while it refuses, or is away, at a start', async () => {
    kms.behaviour = { error: 'AccessDeniedException' };
    const refused = await startBuiltReplica(environment).then(() => 'started', String);
    expect(refused).toContain('MasterKeyMismatch');
    run.told.push(refused);
    kms.behaviour = { down: true };
    const started = await startBuiltReplica(environment);
    run.told.push(...(await allThatItSays(started)));
  }, 60_000);

  it('stand nowhere, and neither do the data keys that KMS was given to wrap', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${replica.metricsPort}/metrics`)).text();
    const [processes, rows] = await Promise.all([processList(), dumpOf(database.url)]);
    await replica.end();
    const envelopes = sentry.envelopes.map(({ headers, text }) => headers + text).join('\n');
    const places = { told: run.told.join('\n'), output: replica.output(), metrics, envelopes, rows, processes };
    // It looked where something stands.
    expect(kms.plaintexts.length).toBeGreaterThanOrEqual(3);
    expect(places.output).toContain('encryption_unavailable');
    expect(rows).toContain('org_test_');

    const canaries = {
      'the root key': rootKey.formsIn,
      'the signing secret': signingSecret.formsIn,
      "AWS's key": awsSecret.formsIn,
      'what was sent': sent.formsIn,
      ...Object.fromEntries(
        kms.plaintexts.map((dataKey, index) => [`data key ${index}`, formsOf(dataKey, PIECE_OF_RANDOM)]),
      ),
    };
    expect(found(canaries, places)).toEqual([]);
  });
});

/** Of a replica that ends after it. */
async function allThatItSays(started: Replica): Promise<string[]> {
  const other = new CanaryRun(started, sent.secret);
  await other.askEverything(next());
  await started.end();
  return [...other.told, started.output()];
}
