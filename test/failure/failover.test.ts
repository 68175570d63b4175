import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { type BuiltService, productionEnvironment, startBuiltReplica } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { isBackToNormal, memoryOf, warm } from '../support/memory.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { acceptedAfter, answersOf, watchValidations } from '../support/validation-watch.ts';

const LEASE_MS = 500;
const SYNCHRONOUS_STANDBYS = "select 1 from pg_stat_replication where sync_state = 'sync'";

let primary: OwnPostgres;
let standby: OwnPostgres;
/** The address that always leads to the primary, as a highly available set-up gives it. */
let address: TcpProxy;
let replicas: (BuiltService & { metricsPort: number })[];
const org = newOrganization();
beforeAll(async () => {
  primary = await startOwnPostgres();
  await primary.stop();
  standby = await primary.copy();
  await primary.start();
  await standby.follow(primary.url);
  await standby.start();
  await execute(primary.url, "alter system set synchronous_standby_names = '*'");
  await execute(primary.url, 'select pg_reload_conf()');
  await vi.waitFor(async () => expect(await execute(primary.url, SYNCHRONOUS_STANDBYS)).toHaveLength(1), {
    timeout: 15_000,
    interval: 50,
  });
  address = await startTcpProxy(primary.url);
  const environment = {
    ...productionEnvironment(address.through(primary.url)),
    CACHE_LEASE_MS: String(LEASE_MS),
  };
  replicas = await Promise.all([startBuiltReplica(environment), startBuiltReplica(environment)]);
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.end('SIGKILL')));
  await address.close();
  await standby.remove();
  await primary.remove();
});

const leases = () => Promise.all(replicas.map(async (replica) => (await memoryOf(replica)).leaseHeld));

describe('An address that leads to a standby by mistake', () => {
  it('never makes a revoked key good again, however far the standby is behind', async () => {
    const [one, two] = replicas as [(typeof replicas)[number], (typeof replicas)[number]];
    const doomed = await one.issueKey(org);
    await warm(one, doomed.key);
    await expect
      .poll(() => execute(standby.url, 'select 1 from key_service.api_keys where id = $1', [doomed.id]))
      .toHaveLength(1);
    await execute(standby.url, 'select pg_wal_replay_pause()');
    const { status } = await two.asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
    expect(status).toBe(200);
    const answeredMs = performance.now();
    address.cut();
    address.leadTo(standby.url);
    address.restore();
    const watch = watchValidations(one, doomed.key);
    await sleep(LEASE_MS * 4);
    const seen = await watch.stop();
    await execute(standby.url, 'select pg_wal_replay_resume()');
    address.cut();
    address.leadTo(primary.url);
    address.restore();
    await expect.poll(() => isBackToNormal(one, []), { timeout: 15_000 }).toBe(true);
    expect(acceptedAfter(seen, answeredMs + LEASE_MS)).toEqual([]);
    expect(answersOf(seen)).toEqual(['503 database_unavailable']);
  });
});

describe('A pooler that leads to a standby', () => {
  it('is read no more than a standby itself: each transaction finds out where it is', async () => {
    const database = openDatabase({
      server: { url: standby.url, pooled: true },
      poolMax: 1,
      onIdleConnectionLost() {},
    });
    // The connection's own look is behind us when a pooler changes the server under it.
    const read = database.query((queries) => queries.execute('select 1'));
    await expect(read).rejects.toMatchObject({ code: 'database_unavailable' });
    await database.close(1_000);
  });
});

describe('A failover to a synchronous standby', () => {
  it('loses no answered revocation, gives no lease to the standby before its promotion, and needs no restart', async () => {
    const [one, two] = replicas as [(typeof replicas)[number], (typeof replicas)[number]];
    const { key: kept } = await one.issueKey(org);
    const doomed = await one.issueKey(org);
    for (const replica of replicas) await warm(replica, kept, doomed.key);
    const ofDoomed = replicas.map((replica) => watchValidations(replica, doomed.key));
    const ofKept = replicas.map((replica) => watchValidations(replica, kept));

    const { status } = await two.asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
    expect(status).toBe(200);
    const answeredMs = performance.now();
    await primary.kill();
    address.leadTo(standby.url);
    await expect.poll(leases, { timeout: 5_000 }).toEqual([false, false]);

    // It can be read, but neither told of nor heard from: for as long as it is no primary nobody holds a lease.
    const waitedUntilMs = performance.now() + 4 * LEASE_MS;
    while (performance.now() < waitedUntilMs) expect(await leases()).toEqual([false, false]);
    const ready = await one.request('GET', '/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.body.checks.changeFeed).toBe('unavailable');
    expect((await one.asService('POST', '/internal/api-keys', { clerkOrgId: org })).status).toBe(503);

    await execute(standby.url, 'select pg_promote()');
    for (const replica of replicas) {
      await expect.poll(() => isBackToNormal(replica, [kept]), { timeout: 15_000 }).toBe(true);
    }
    const seen = (await Promise.all(ofDoomed.map((watch) => watch.stop()))).flat();
    expect(acceptedAfter(seen, answeredMs + LEASE_MS)).toEqual([]);
    expect(answersOf((await Promise.all(ofKept.map((watch) => watch.stop()))).flat())).not.toContain(
      '401 api_key_invalid',
    );
    for (const replica of replicas) {
      expect((await replica.asHolder(doomed.key, '/validate')).body.code).toBe('api_key_revoked');
    }

    // What is revoked on the new primary counts like before.
    const later = await one.issueKey(org);
    await warm(two, later.key);
    await one.asService('DELETE', `/internal/api-keys/${later.id}?clerkOrgId=${org}`);
    await sleep(LEASE_MS);
    expect((await two.asHolder(later.key, '/validate')).body.code).toBe('api_key_revoked');
  });
});
