import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BuiltService, productionEnvironment, startBuiltReplica } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { hammer } from '../support/usage-limits.ts';

/** What callers are promised when the database is gone. */
const BLIND_LIMIT_MS = 1_000;
/** Longer than any flood here lasts. */
const MANY = 1_000_000;
const org = newOrganization();

const leftOf = async (url: string, id: string) => {
  const [row] = await execute<{ remaining: string }>(
    url,
    `select remaining from key_service.api_key_usage_limits
     where id = (select usage_limit_id from key_service.api_keys where id = $1)`,
    [id],
  );
  return Number(row?.remaining);
};

describe.each([
  ['restarted', 'stop'],
  ['killed with kill -9 and started again', 'kill'],
] as const)('When the database is %s while four processes use a key up', (_, end) => {
  let postgres: OwnPostgres;
  let replicas: BuiltService[];
  beforeAll(async () => {
    postgres = await startOwnPostgres();
    const environment = productionEnvironment(postgres.url);
    replicas = [await startBuiltReplica(environment)];
    replicas.push(...(await Promise.all([1, 2, 3].map(() => startBuiltReplica(environment)))));
  });
  afterAll(async () => {
    await Promise.all(replicas.map((each) => each.end('SIGKILL')));
    await postgres.remove();
  });

  it('every use that was granted is counted, and none twice', { timeout: 120_000 }, async () => {
    const replica = replicas[0] as BuiltService;
    const { id, key } = await replica.issueKey(org, { remainingUses: MANY });
    let over = false;
    const hammering = hammer({ targets: replicas, key, clients: 8, until: () => over });
    for (let time = 0; time < 3; time += 1) {
      const before = await leftOf(postgres.url, id);
      await expect.poll(() => leftOf(postgres.url, id)).toBeLessThan(before - 200);
      await postgres[end]();
      await postgres.start();
      // Not before they are back; each has connections that it does not know to be dead.
      for (const each of replicas) {
        await expect.poll(async () => (await each.asHolder(key, '/validate')).status, { timeout: 20_000 }).toBe(200);
      }
    }
    over = true;
    const { remaining, refusals } = await hammering;
    expect(new Set(remaining).size).toBe(remaining.length);
    const counted = MANY - (await leftOf(postgres.url, id));
    // Those of the polls above, and those that were counted and answered 503, are in it too.
    expect(counted).toBeGreaterThanOrEqual(remaining.length);
    expect(remaining.length).toBeGreaterThan(600);
    expect([...refusals].filter((code) => !['database_unavailable', 'overloaded'].includes(code))).toEqual([]);
  });
});

describe('When the network to the database is gone', () => {
  let service: TestService;
  let proxy: TcpProxy;
  let limited: { id: string; key: string };
  beforeAll(async () => {
    service = await startService({
      async leadDatabase(url) {
        proxy = await startTcpProxy(url);
        return proxy.through(url);
      },
      leadChangeFeed: async (url) => url,
    });
  });
  beforeEach(async () => {
    // Each connection that is dead from the test before fails who comes upon it.
    const issue = () => service.issueKey(org, { remainingUses: 1_000 }).catch(() => null);
    const validate = async () => (await service.asHolder(limited.key, '/validate')).status;
    await expect.poll(async () => (limited = (await issue()) ?? limited), { timeout: 15_000 }).toBeDefined();
    for (let times = 0; times < 10; times += 1) await expect.poll(validate, { timeout: 15_000 }).toBe(200);
  });
  afterEach(() => proxy.restore());
  afterAll(async () => {
    await service.stop();
    await proxy.close();
  });

  it.each([
    ['cut', () => proxy.cut()],
    ['dead on sockets that look alive', () => proxy.stall()],
  ] as const)('and it is %s, a use is 503 in time, and not granted', async (__, takeAway) => {
    const before = await leftOf(service.databaseUrl, limited.id);
    takeAway();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => timed(() => service.asHolder(limited.key, '/validate'))),
    );
    for (const { answer: result, tookMs } of answers) {
      expect({ status: result.status, code: result.body.code }).toEqual({ status: 503, code: 'database_unavailable' });
      expect(result.headers.get('retry-after')).toBe('1');
      expect(tookMs).toBeLessThan(BLIND_LIMIT_MS);
    }
    expect(await leftOf(service.databaseUrl, limited.id)).toBe(before);
  });

  it('just after a use was sent, that is 503, and counted once at most', async () => {
    const before = await leftOf(service.databaseUrl, limited.id);
    proxy.stallAfter('take_api_key_uses');
    const { answer: result, tookMs } = await timed(() => service.asHolder(limited.key, '/validate'));
    expect({ status: result.status, code: result.body.code }).toEqual({ status: 503, code: 'database_unavailable' });
    expect(tookMs).toBeLessThan(BLIND_LIMIT_MS);
    expect([before - 1, before]).toContain(await leftOf(service.databaseUrl, limited.id));
  });
});

describe('A count that somebody has locked', () => {
  let service: TestService;
  let locker: pg.Client;
  beforeAll(async () => {
    service = await startService();
    locker = new pg.Client({ connectionString: service.databaseUrl });
    await locker.connect();
  });
  afterAll(async () => {
    await locker.end();
    await service.stop();
  });

  it('is 503 in time, keeps no other key waiting for long, and counts again when it is free', async () => {
    const stuck = await service.issueKey(org, { remainingUses: 100 });
    const free = await service.issueKey(org, { remainingUses: 100_000 });
    for (const { key } of [stuck, free]) expect((await service.asHolder(key, '/validate')).status).toBe(200);
    await locker.query('begin');
    await locker.query(
      `select 1 from key_service.api_key_usage_limits
       where id = (select usage_limit_id from key_service.api_keys where id = $1) for update`,
      [stuck.id],
    );
    const refused = Promise.all(
      Array.from({ length: 20 }, () => timed(() => service.asHolder(stuck.key, '/validate'))),
    );
    let over = false;
    const hammering = hammer({ targets: [service], key: free.key, clients: 5, until: () => over });
    for (const { answer: result, tookMs } of await refused) {
      expect(result.body.code).toMatch(/^(database_unavailable|overloaded)$/);
      expect(tookMs).toBeLessThan(BLIND_LIMIT_MS);
    }
    over = true;
    expect((await hammering).remaining.length).toBeGreaterThan(50);
    await locker.query('rollback');
    await expect.poll(async () => (await service.asHolder(stuck.key, '/validate')).status).toBe(200);
  });
});
