import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey, hashKey } from '../../src/key-format.ts';
import { changesArrived } from '../support/changes-arrived.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { startService, type TestService } from '../support/service.ts';
import { callsWith, type NamedCaller, newServiceCaller } from '../support/service-caller.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** For what a replica learns from the database: within milliseconds, on a machine that does nothing else. */
const SOON = { timeout: 5_000, interval: 5 };
const PATH = `/internal/keys?clerkOrgId=${newOrganization()}`;

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0', CACHE_LEASE_MS: '60000' } });
});
afterAll(() => service.stop());

/** How a request with this key ends: `200`, or the code of the problem. */
async function outcome(as: NamedCaller['as']): Promise<string> {
  const { status, body } = await as('GET', PATH);
  return status === 200 ? '200' : body.code;
}

/** A caller that has called, so that memory has its key. */
async function knownCaller(settings: Parameters<typeof newServiceCaller>[1] = {}): Promise<NamedCaller> {
  const caller = await newServiceCaller(service, { permissions: ['provider-keys:read'], ...settings });
  await changesArrived(service);
  expect(await outcome(caller.as)).toBe('200');
  return caller;
}

/** Does it while a look-up of a service key cannot work. */
async function withoutTheTable<T>(work: () => Promise<T>): Promise<T> {
  await service.sql('alter table key_service.service_keys rename to service_keys_away');
  try {
    return await work();
  } finally {
    await service.sql('alter table key_service.service_keys_away rename to service_keys');
  }
}

const counted = async (what: string, where = service) =>
  (await metricsOf(where)).value(`key_service_cache_${what}`, { cache: 'service-keys' }) ?? 0;

describe('a service key that was used before', () => {
  it('is known from memory, and counted as that', async () => {
    const { as } = await knownCaller();
    const before = { hits: await counted('hits_total'), misses: await counted('misses_total') };
    await withoutTheTable(async () => {
      for (let n = 0; n < 10; n += 1) expect(await outcome(as)).toBe('200');
    });
    expect((await counted('hits_total')) - before.hits).toBe(10);
    expect((await counted('misses_total')) - before.misses).toBe(0);
    expect(await counted('entries')).toBeGreaterThan(0);
    expect(await counted('bytes')).toBeGreaterThan(0);
  });

  it('has its permissions and providers checked by each request', async () => {
    const { as } = await knownCaller({
      permissions: ['provider-keys:read', 'provider-keys:reveal'],
      revealProviders: ['openai'],
    });
    await withoutTheTable(async () => {
      for (let n = 0; n < 3; n += 1) {
        expect(await outcome(as)).toBe('200');
        const answers = [
          await as('GET', `/internal/keys/openai/decrypt?clerkOrgId=${newOrganization()}`),
          await as('GET', `/internal/keys/anthropic/decrypt?clerkOrgId=${newOrganization()}`),
          await as('POST', '/internal/keys', {}),
        ];
        expect(answers.map(({ status }) => status)).toEqual([404, 403, 403]);
      }
    });
  });

  it('is good until it expires and not from then on', async () => {
    const expiresAt = Date.now() + 1_500;
    const { as } = await knownCaller({ expiresAt: new Date(expiresAt).toISOString() });
    const seen = new Set<number>();
    while (!seen.has(401)) {
      const began = Date.now();
      const { status, body } = await as('GET', PATH);
      if (Date.now() < expiresAt) expect(status).toBe(200);
      if (began >= expiresAt) expect({ status, code: body.code }).toEqual({ status: 401, code: 'service_key_invalid' });
      if (status === 401) expect(body.detail).toContain(new Date(expiresAt).toISOString());
      seen.add(status);
    }
    expect(seen).toEqual(new Set([200, 401]));
  });
});

describe('a service key that memory does not know', () => {
  it('is refused when it has expired', async () => {
    const { as } = await newServiceCaller(service, {
      permissions: ['provider-keys:read'],
      expiresAt: new Date(Date.now() + 200).toISOString(),
    });
    await sleep(250);
    expect(await outcome(as)).toBe('service_key_invalid');
  });

  it('and that nobody issued is looked up once; one that is no service key, never', async () => {
    const unknown = callsWith(service, generateKey('ks', 'service').key);
    expect(await outcome(unknown)).toBe('service_key_invalid');
    await withoutTheTable(async () => {
      expect(await outcome(unknown)).toBe('service_key_invalid');
      const malformed = ['no-service-key', generateKey('ks', 'live').key, `${generateKey('ks', 'service').key}0`];
      for (const key of malformed) expect(await outcome(callsWith(service, key))).toBe('service_key_invalid');
      expect(await outcome(callsWith(service, generateKey('ks', 'service').key))).toBe('internal_error');
      expect(await outcome(service.asService)).toBe('200');
    });
  });

  it('is looked up once for all requests of a moment', async () => {
    const { as } = await newServiceCaller(service, { permissions: ['provider-keys:read'] });
    const before = await counted('misses_total');
    const locker = new pg.Client({ connectionString: service.databaseUrl });
    await locker.connect();
    await locker.query('begin; lock table key_service.service_keys in access exclusive mode');
    const answers = Promise.all(Array.from({ length: 20 }, () => outcome(as)));
    await expect.poll(async () => (await counted('misses_total')) - before, { interval: 2 }).toBe(20);
    const lookUps = async () => {
      const { rowCount } = await locker.query(
        `select 1 from pg_stat_activity
         where wait_event_type = 'Lock' and datname = current_database() and query like 'select%service_keys%'`,
      );
      return rowCount;
    };
    // A miss is counted before its look-up is on its way; any other would have come at the same moment.
    await expect.poll(lookUps, { interval: 2 }).toBeGreaterThan(0);
    await sleep(20);
    expect(await lookUps()).toBe(1);
    await locker.query('rollback');
    await locker.end();
    // On a machine that is busy the look-up may have taken too long; it is no answer about the key then.
    for (const answer of await answers) expect(['200', 'database_unavailable']).toContain(answer);
  });
});

describe('a change of a service key past the service, soon', () => {
  const change = (set: string, id: string) =>
    service.sql(`update key_service.service_keys set ${set} where id = $1`, [id]);

  it('is seen when it is revoked, and none when that is rolled back', async () => {
    const { id, as } = await knownCaller();
    await service.sql(`begin; update key_service.service_keys set revoked_at = now() where id = '${id}'; rollback`);
    expect(await outcome(as)).toBe('200');
    await change('revoked_at = now()', id);
    await expect.poll(() => outcome(as), SOON).toBe('service_key_invalid');
  });

  it('is seen when permissions are taken and given', async () => {
    const { id, as } = await knownCaller();
    for (let round = 0; round < 3; round += 1) {
      await change("permissions = '{}'", id);
      await expect.poll(() => outcome(as), SOON).toBe('service_key_forbidden');
      await change("permissions = '{provider-keys:read}'", id);
      await expect.poll(() => outcome(as), SOON).toBe('200');
    }
  });

  it('is seen when its row is deleted, and when all of them are', async () => {
    const [one, other] = [await knownCaller(), await knownCaller()];
    const uses = () => service.sql('select 1 from key_service.service_key_uses where service_key_id = $1', [one.id]);
    await expect.poll(uses, SOON).toHaveLength(1);
    await service.sql(
      `with uses as (delete from key_service.service_key_uses where service_key_id = $1)
       delete from key_service.service_keys where id = $1`,
      [one.id],
    );
    await expect.poll(() => outcome(one.as), SOON).toBe('service_key_invalid');
    expect(await outcome(other.as)).toBe('200');
    await service.sql('truncate key_service.service_keys cascade');
    await expect.poll(() => outcome(other.as), SOON).toBe('service_key_invalid');
  });

  it('is seen when a key appears that was asked for before, and when its hash becomes that of another', async () => {
    const [first, second] = [generateKey('ks', 'service').key, generateKey('ks', 'service').key];
    const [asFirst, asSecond] = [callsWith(service, first), callsWith(service, second)];
    expect([await outcome(asFirst), await outcome(asSecond)]).toEqual(Array(2).fill('service_key_invalid'));
    const [row] = await service.sql<{ id: string }>(
      `insert into key_service.service_keys (id, name, key_hash, key_prefix, last4, permissions)
       values (gen_random_uuid(), 'by-hand', $1, 'ks_service_', 'last', '{provider-keys:read}') returning id`,
      [hashKey(first)],
    );
    await expect.poll(() => outcome(asFirst), SOON).toBe('200');
    await service.sql('update key_service.service_keys set key_hash = $2 where id = $1', [row?.id, hashKey(second)]);
    await expect.poll(() => outcome(asFirst), SOON).toBe('service_key_invalid');
    await expect.poll(() => outcome(asSecond), SOON).toBe('200');
  });

  it('is counted by kind', async () => {
    const count = async (kind: string) => (await metricsOf(service)).value('key_service_changes_total', { kind }) ?? 0;
    const before = [await count('service-key-created'), await count('service-key-revoked')];
    const { id } = await newServiceCaller(service);
    await service.asService('DELETE', `/internal/service-keys/${id}`);
    await expect.poll(() => count('service-key-created'), SOON).toBeGreaterThan(before[0] ?? 0);
    await expect.poll(() => count('service-key-revoked'), SOON).toBeGreaterThan(before[1] ?? 0);
  });
});

describe('another replica', () => {
  const LEASE_MS = 1_000;
  let near: TestService;
  let far: TestService;
  let feed: TcpProxy;
  beforeAll(async () => {
    near = await startService({ environment: { CACHE_LEASE_MS: String(LEASE_MS) } });
    far = await startService({
      beside: near,
      environment: { METRICS_PORT: '0', CACHE_LEASE_MS: String(LEASE_MS) },
      async leadChangeFeed(url) {
        feed = await startTcpProxy(url);
        return feed.through(url);
      },
    });
  });
  afterAll(async () => {
    feed.resume();
    await far.stop();
    await feed.close();
    await near.stop();
  });

  /** A caller that the far replica answers from memory. */
  async function callerKnownFar() {
    const { id, key } = await newServiceCaller(near, { permissions: ['provider-keys:read'] });
    const as = callsWith(far, key);
    const fromMemory = async () => {
      const before = await counted('hits_total', far);
      return (await outcome(as)) === '200' && (await counted('hits_total', far)) > before;
    };
    await expect.poll(fromMemory, { timeout: 10_000 }).toBe(true);
    return { id, as };
  }

  it('accepts a key as soon as its issue was answered', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { key } = await newServiceCaller(near, { permissions: ['provider-keys:read'] });
      expect(await outcome(callsWith(far, key))).toBe('200');
    }
  });

  it('refuses a revoked key soon', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id, as } = await callerKnownFar();
      await near.asService('DELETE', `/internal/service-keys/${id}`);
      await expect.poll(() => outcome(as), { timeout: LEASE_MS, interval: 2 }).toBe('service_key_invalid');
    }
  });

  it('refuses it after the lease, though no news comes through any more', async () => {
    const { id, as } = await callerKnownFar();
    feed.stall();
    await near.asService('DELETE', `/internal/service-keys/${id}`);
    await sleep(LEASE_MS);
    for (let n = 0; n < 5; n += 1) expect(await outcome(as)).toBe('service_key_invalid');
    feed.resume();
  });
});
