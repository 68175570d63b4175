import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { warm } from '../support/memory.ts';
import { type PgBouncer, pgBouncerMissing, startPgBouncer } from '../support/pgbouncer.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { countdownFrom, expectExactly, hammer, isUsedUp } from '../support/usage-limits.ts';

if (pgBouncerMissing !== undefined) console.warn(`Skipped: ${pgBouncerMissing}`);

const WRITE_LIMIT_MS = 2_000;
const SECRET = 'sk-ant-not-a-real-key-0000';

describe.skipIf(pgBouncerMissing !== undefined).each([
  ['as its package comes', {}],
  [
    'told to ignore start parameters',
    { ignore_startup_parameters: 'extra_float_digits,statement_timeout,lock_timeout' },
  ],
] as const)('Behind PgBouncer in transaction mode, %s', (_, settings) => {
  let bouncer: PgBouncer;
  let one: TestService;
  let two: TestService;
  const org = newOrganization();
  const leadDatabase = async (url: string) => {
    bouncer ??= await startPgBouncer(url, settings);
    return bouncer.through(url);
  };
  beforeAll(async () => {
    one = await startService({ leadDatabase, environment: { METRICS_PORT: '0' } });
    two = await startService({ leadDatabase, beside: one });
  });
  afterAll(async () => {
    await two.stop();
    await one.stop();
    await bouncer.stop();
  });

  it('the start says in one line that nothing is answered from memory', () => {
    const lines = one.logLines.filter(({ msg }) => String(msg).includes('a pooler stands before the database'));
    expect(lines).toHaveLength(1);
    expect(lines[0]?.['msg']).toContain('KEY_SERVICE_DIRECT_DATABASE_URL');
  });

  it('a replica is ready, with the change feed disabled', async () => {
    const { status, body } = await one.request('GET', '/health/ready');
    expect(status).toBe(200);
    expect(body.checks).toMatchObject({ database: 'ok', migrations: 'ok', changeFeed: 'disabled' });
  });

  it('every use case works, again and again on connections that are shared', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id, key } = await one.issueKey(org);
      const provider = `provider-${round}`;
      expect((await two.saveProviderKey(org, provider, SECRET)).status).toBe(201);
      expect((await one.saveProviderKey(org, provider, `${SECRET}-2`)).status).toBe(200);
      const answers = await Promise.all([
        one.asHolder(key, '/validate'),
        two.asHolder(key, '/validate'),
        one.asHolder(key, `/validate/keys/${provider}`),
        two.asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`),
        two.asService('GET', `/internal/keys?clerkOrgId=${org}`),
        one.asService('GET', `/internal/api-keys?clerkOrgId=${org}`),
        one.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`),
      ]);
      expect(answers.map(({ status }) => status)).toEqual(Array(7).fill(200));
      expect(answers[2]?.body.key).toBe(`${SECRET}-2`);
      expect((await two.asService('DELETE', `/internal/keys/${provider}?clerkOrgId=${org}`)).body.deleted).toBe(true);
    }
  });

  it('a revocation counts at once on every replica', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, key } = await one.issueKey(org);
      expect((await two.asHolder(key, '/validate')).status).toBe(200);
      expect((await one.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`)).status).toBe(200);
      const answers = await Promise.all([one, two].map((replica) => replica.asHolder(key, '/validate')));
      expect(answers.map(({ body }) => body.code)).toEqual(['api_key_revoked', 'api_key_revoked']);
    }
  });

  it('uses are counted on every replica, and none too many', async () => {
    const { key } = await one.issueKey(org, { remainingUses: 60, refill: { amount: 10, interval: 'day' } });
    const hammered = await hammer({ targets: [one, two], key, clients: 10, until: isUsedUp });
    expectExactly(hammered, countdownFrom(60));
  });

  it('a write that meets a lock is a 503 within two seconds and does not happen later', async () => {
    await one.saveProviderKey(org, 'anthropic', SECRET);
    const { id } = await one.issueKey(org);
    const state = () =>
      one.sql(
        `select (select json_agg(k.version) from key_service.provider_keys k where provider = 'anthropic') as versions,
                (select revoked_at from key_service.api_keys where id = $1) as revoked_at`,
        [id],
      );
    const before = await state();
    const lock = one.sql(
      'begin; select * from key_service.provider_keys for update; select * from key_service.api_keys for update; ' +
        'select pg_sleep(4); commit',
    );
    const asleep =
      "select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep' and query like '%provider_keys for%'";
    await expect.poll(() => one.sql(asleep)).toHaveLength(1);
    const writes = await Promise.all([
      timed(() => one.saveProviderKey(org, 'anthropic', `${SECRET}-3`)),
      timed(() => one.asService('DELETE', `/internal/keys/anthropic?clerkOrgId=${org}`)),
      timed(() => two.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`)),
    ]);
    for (const { answer, tookMs } of writes) {
      expect(answer.status).toBe(503);
      expect(tookMs).toBeLessThan(WRITE_LIMIT_MS);
    }
    await lock;
    const unfinished =
      "select 1 from pg_stat_activity where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()";
    await expect.poll(() => one.sql(unfinished)).toEqual([]);
    expect(await state()).toEqual(before);
  });

  it('four replicas that start at once on an empty database migrate it once', async () => {
    const database = await createTestDatabase({ empty: true });
    const beside = { databaseUrl: database.url, environment: one.environment };
    const replicas = await Promise.all(Array.from({ length: 4 }, () => startService({ leadDatabase, beside })));
    const ready = await Promise.all(replicas.map((replica) => replica.request('GET', '/health/ready')));
    expect(ready.map(({ status }) => status)).toEqual(Array(4).fill(200));
    const migrated = replicas.filter(({ logLines }) => logLines.some(({ msg }) => msg === 'migrations applied'));
    expect(migrated).toHaveLength(1);
    await Promise.all(replicas.map((replica) => replica.stop()));
    await database.drop();
  });

  it('with the server itself as KEY_SERVICE_DIRECT_DATABASE_URL a replica answers from memory, and learns of revocations', async () => {
    const environment = { METRICS_PORT: '0', KEY_SERVICE_DIRECT_DATABASE_URL: one.databaseUrl };
    const cached = await startService({ leadDatabase, beside: one, environment });
    const { id, key } = await one.issueKey(org);
    await warm(cached, key);
    expect((await cached.request('GET', '/health/ready')).body.checks.changeFeed).toBe('ok');
    await two.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    await expect.poll(async () => (await cached.asHolder(key, '/validate')).body.code).toBe('api_key_revoked');
    await cached.stop();
  });
});
