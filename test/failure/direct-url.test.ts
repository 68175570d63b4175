import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { applyMigrations } from '../../src/database/migrations.ts';
import { reachDatabase } from '../../src/database/reach.ts';
import { productionEnvironment, spawnBuiltService } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { isBackToNormal, memoryOf } from '../support/memory.ts';
import { type PgBouncer, pgBouncerMissing, startPgBouncer } from '../support/pgbouncer.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { createTestDatabase } from '../support/test-database.ts';

const LEASE_MS = 500;
/** How long a server may take to answer a connection, or the first statement on it. */
const TRY_LIMIT_MS = 5_000;
/** Much above what an orchestrator waits; what does not end by itself by then is ended, and fails by its code. */
const START_LIMIT_MS = 30_000;

let service: TestService;
let way: TcpProxy;
const org = newOrganization();
const started: TestService[] = [];
beforeAll(async () => {
  service = await startService();
  way = await startTcpProxy(service.databaseUrl);
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop()));
  way.restore();
});
afterAll(async () => {
  await service.stop();
  await way.close();
});

async function startWithDirect(url: string): Promise<TestService> {
  const environment = { METRICS_PORT: '0', CACHE_LEASE_MS: String(LEASE_MS), KEY_SERVICE_DIRECT_DATABASE_URL: url };
  const replica = await startService({ beside: service, environment });
  started.push(replica);
  return replica;
}

/** Runs the built service to its end. */
async function run(directUrl: string) {
  const spawned = spawnBuiltService({
    ...productionEnvironment(service.databaseUrl),
    ENCRYPTION_KEY: service.environment['ENCRYPTION_KEY'],
    KEY_SERVICE_DIRECT_DATABASE_URL: directUrl,
  });
  const limit = setTimeout(() => spawned.process.kill('SIGKILL'), START_LIMIT_MS);
  const { code } = await spawned.exit;
  clearTimeout(limit);
  return { code, output: spawned.output() };
}

async function schemasOf(url: string): Promise<string[]> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<{ name: string }>('select nspname as name from pg_namespace');
  await client.end();
  return rows.map(({ name }) => name);
}

/** It takes part without a feed: nothing is answered from memory, and it says that it is not ready. */
async function answersUncached(replica: TestService) {
  const ready = await replica.request('GET', '/health/ready');
  expect(ready.status).toBe(503);
  expect(ready.body.checks).toMatchObject({ database: 'ok', migrations: 'ok', changeFeed: 'unavailable' });
  const { id, key } = await service.issueKey(org);
  const untilMs = performance.now() + 3 * LEASE_MS;
  while (performance.now() < untilMs) {
    expect((await replica.asHolder(key, '/validate')).status).toBe(200);
    await sleep(20);
  }
  expect(await memoryOf(replica)).toMatchObject({ leaseHeld: false, hits: 0 });
  await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
  expect((await replica.asHolder(key, '/validate')).body.code).toBe('api_key_revoked');
}

describe('A KEY_SERVICE_DIRECT_DATABASE_URL', () => {
  it('whose login is refused ends the start at once, named and without a secret', async () => {
    const url = new URL(service.databaseUrl);
    url.username = 'nobody_of_this_name';
    url.password = `canary${randomBytes(8).toString('hex')}`;
    const { code, output } = await run(url.href);
    expect(code).toBe(1);
    expect(output).toContain('Check KEY_SERVICE_DIRECT_DATABASE_URL');
    expect(output).toMatch(/SQLSTATE (28|3D)/);
    expect(output).not.toContain(url.password);
    expect(output).not.toContain(url.username);
    expect(output).not.toContain('waiting for the database');
  });

  it.concurrent.each([
    ['refuses connections', (proxy: TcpProxy) => proxy.cut()],
    ['takes connections and says nothing', (proxy: TcpProxy) => proxy.stall()],
    ['is silent from the first statement on', (proxy: TcpProxy) => proxy.stallAt('pg_backend_pid')],
  ])('that %s ends the start when patience does, and is named', async (_, takeAway) => {
    const proxy = await startTcpProxy(service.databaseUrl);
    takeAway(proxy);
    const variable = 'KEY_SERVICE_DIRECT_DATABASE_URL';
    const { answer, tookMs } = await timed(() =>
      reachDatabase(proxy.through(service.databaseUrl), { onWaiting: () => {}, patienceMs: 1_000, variable }).catch(
        String,
      ),
    );
    await proxy.close();
    expect(answer).toContain('Check KEY_SERVICE_DIRECT_DATABASE_URL');
    // The last try may begin when patience is almost over.
    expect(tookMs).toBeLessThan(1_000 + TRY_LIMIT_MS + 500);
  });

  it('that is silent when it is asked for the migrations ends the start within seconds', async () => {
    way.stallAt('to_regclass');
    const server = { url: way.through(service.databaseUrl), pooled: false };
    const { answer, tookMs } = await timed(() => applyMigrations(server).catch(String));
    expect(answer).toContain('The migrations could not be applied');
    expect(tookMs).toBeLessThan(TRY_LIMIT_MS + 1_000);
  });

  it('that falls silent when it is listened to delays the start by no more than 5 s, and is tried again', async () => {
    way.stallAt('listen ');
    const { answer: replica, tookMs } = await timed(() => startWithDirect(way.through(service.databaseUrl)));
    expect(tookMs).toBeLessThan(TRY_LIMIT_MS + 2_000);
    expect(replica.logLines.filter(({ msg }) => String(msg).includes('the change feed does not answer'))).toHaveLength(
      1,
    );
    await answersUncached(replica);
    way.restore();
    const { key } = await service.issueKey(org);
    await expect.poll(() => isBackToNormal(replica, [key]), { timeout: 15_000 }).toBe(true);
  });

  it('that leads to another database than the pool ends the start, before that one is migrated', async () => {
    const other = await createTestDatabase({ empty: true });
    const { code, output } = await run(other.url);
    expect(code).toBe(1);
    expect(output).toContain('KEY_SERVICE_DIRECT_DATABASE_URL leads to another database than KEY_SERVICE_DATABASE_URL');
    expect(await schemasOf(other.url)).not.toContain('key_service');
    await other.drop();
  });

  describe.skipIf(pgBouncerMissing !== undefined)('that is a pooler by mistake', () => {
    let bouncer: PgBouncer;
    beforeAll(async () => {
      bouncer = await startPgBouncer(service.databaseUrl);
    });
    afterAll(() => bouncer.stop());

    it('is said to be one, and a replica answers from the database and is not ready', async () => {
      const replica = await startWithDirect(bouncer.through(service.databaseUrl));
      const said = replica.logLines.map(({ msg }) => String(msg)).filter((msg) => msg.includes('pooler'));
      expect(said).toEqual([expect.stringContaining('KEY_SERVICE_DIRECT_DATABASE_URL leads to a pooler')]);
      await answersUncached(replica);
    });

    it('through which the pool goes too gives no lease either', async () => {
      const url = bouncer.through(service.databaseUrl);
      const replica = await startService({
        beside: service,
        leadDatabase: async () => url,
        environment: { METRICS_PORT: '0', CACHE_LEASE_MS: String(LEASE_MS), KEY_SERVICE_DIRECT_DATABASE_URL: url },
      });
      started.push(replica);
      await answersUncached(replica);
    });
  });
});
