import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** What callers are promised when the database is gone; the rest is room for a busy machine. */
const VALIDATION_LIMIT_MS = 1_000;
const OTHER_LIMIT_MS = 2_000;

/** The sessions at work in this test's database; others on the server are nobody's business here. */
const IN_USE = "select 1 from pg_stat_activity where datname = current_database() and state <> 'idle'";

let proxy: TcpProxy;
let service: TestService;
let key: string;
const LEASE_MS = 200;
const org = newOrganization();
beforeAll(async () => {
  service = await startService({
    environment: { CACHE_LEASE_MS: String(LEASE_MS) },
    async leadDatabase(url) {
      proxy = await startTcpProxy(url);
      return proxy.through(url);
    },
  });
  ({ key } = await service.issueKey(org));
  await service.saveProviderKey(org, 'anthropic', 'sk-ant-not-a-real-key-0000');
});
afterEach(async () => {
  proxy.restore();
  await expect.poll(() => works(), { timeout: 10_000 }).toBe(true);
});
afterAll(async () => {
  await service.stop();
  await proxy.close();
});

async function works(): Promise<boolean> {
  return (
    (await service.asHolder(key, '/validate')).status === 200 &&
    (await service.request('GET', '/health/ready')).status === 200
  );
}

/** Every use case that needs the database, once each and all at once. */
function everything() {
  const as = service.asService;
  return [
    () => as('POST', '/internal/api-keys', { clerkOrgId: org }),
    () => as('GET', `/internal/api-keys?clerkOrgId=${org}`),
    () => as('GET', `/internal/api-keys/00000000-0000-7000-8000-000000000000?clerkOrgId=${org}`),
    () => as('DELETE', `/internal/api-keys/00000000-0000-7000-8000-000000000000?clerkOrgId=${org}`),
    () => as('POST', '/internal/keys', { clerkOrgId: org, provider: 'openai', apiKey: 'sk-not-a-real-key-00000000' }),
    () => as('GET', `/internal/keys?clerkOrgId=${org}`),
    () => as('GET', `/internal/keys/anthropic/decrypt?clerkOrgId=${org}`),
    () => as('DELETE', `/internal/keys/never-stored?clerkOrgId=${org}`),
    () => as('GET', `/internal/keys/anthropic/versions?clerkOrgId=${org}`),
    () => as('POST', '/internal/keys/anthropic/rollback', { clerkOrgId: org, version: 1 }),
    () => as('POST', '/internal/keys/anthropic/check', { clerkOrgId: org }),
    () => as('GET', `/internal/keys/anthropic/source?clerkOrgId=${org}`),
    () => as('PUT', '/internal/keys/anthropic/source', { clerkOrgId: org, source: 'own-then-platform' }),
    () => as('GET', '/internal/platform-keys'),
    () => as('POST', '/internal/platform-keys', { provider: 'openai', apiKey: 'sk-not-a-real-key-00000000' }),
    () => as('GET', '/internal/platform-keys/openai/decrypt'),
    () => as('POST', '/internal/keys/anthropic/report', { clerkOrgId: org, version: 1, outcome: 'rejected' }),
  ];
}

describe.each([
  ['refuses connections', () => proxy.cut()],
  ['answers nothing any more on connections that look alive', () => proxy.stall()],
] as const)('While the database %s', (_, takeAway) => {
  it('a validation is a 503 within a second as soon as the lease is over, and never a 401', async () => {
    takeAway();
    await sleep(LEASE_MS);
    const validations = await Promise.all(
      Array.from({ length: 30 }, () => timed(() => service.asHolder(key, '/validate'))),
    );
    for (const { answer, tookMs } of validations) {
      expect(answer.status).toBe(503);
      expect(answer.body.code).toBe('database_unavailable');
      expect(answer.headers.get('retry-after')).toBe('1');
      expect(tookMs).toBeLessThan(VALIDATION_LIMIT_MS);
    }
  });

  it('everything else is a 503 within two seconds', async () => {
    takeAway();
    for (const { answer, tookMs } of await Promise.all(everything().map((call) => timed(call)))) {
      expect(answer.status).toBe(503);
      expect(tookMs).toBeLessThan(OTHER_LIMIT_MS);
    }
  });

  it('the process lives and is not ready', async () => {
    takeAway();
    expect((await service.request('GET', '/health')).status).toBe(200);
    const { answer, tookMs } = await timed(() => service.request('GET', '/health/ready'));
    expect(answer.status).toBe(503);
    expect(answer.body.checks).toMatchObject({ database: 'unavailable', clerk: 'disabled' });
    expect(tookMs).toBeLessThan(VALIDATION_LIMIT_MS);
  });

  it('who is refused without a look at the database still is', async () => {
    takeAway();
    expect((await service.request('GET', '/validate')).status).toBe(401);
    expect((await service.request('GET', '/internal/keys')).status).toBe(401);
  });
});

describe('While the database is slow', () => {
  it('a statement that waits for a lock gives up within the limit and leaves nothing half done', async () => {
    const before = await service.sql('select version from key_service.provider_keys');
    const blocked = service.sql(
      `begin; select * from key_service.provider_keys for update; select pg_sleep(3); commit`,
    );
    await expect
      .poll(() => service.sql(`${IN_USE} and query like '%pg_sleep(3)%' and pid <> pg_backend_pid()`))
      .not.toHaveLength(0);
    const { answer, tookMs } = await timed(() =>
      service.saveProviderKey(org, 'anthropic', 'sk-ant-another-fake-key-0000'),
    );
    expect(answer.status).toBe(503);
    expect(tookMs).toBeLessThan(OTHER_LIMIT_MS);
    await blocked;
    expect(await service.sql('select version from key_service.provider_keys')).toEqual(before);
  });

  it('a write that was answered 503 does not happen later, however slowly its statements went on', async () => {
    const read = async () =>
      (await service.asService('GET', `/internal/keys/anthropic/decrypt?clerkOrgId=${org}`)).body;
    // With ten versions, so that saving another one destroys one.
    for (let n = 0; n < 10; n += 1) await service.saveProviderKey(org, 'anthropic', `sk-ant-fake-key-number-${n}`);
    const before = await read();
    // Two locks that the save meets one after the other, each within its own limit and both together beyond the trip's.
    const locks = [
      service.sql('begin; select * from key_service.provider_keys for update; select pg_sleep(0.7); commit'),
      service.sql('begin; select * from key_service.provider_key_versions for update; select pg_sleep(1.4); commit'),
    ];
    await expect.poll(() => service.sql(`${IN_USE} and query like '%pg_sleep%'`)).toHaveLength(3);
    const late = await service.saveProviderKey(org, 'anthropic', 'sk-ant-a-late-fake-key-0000');
    expect(late.status).toBe(503);
    await Promise.all(locks);
    await expect.poll(() => service.sql(`${IN_USE} and application_name = 'key-service'`)).toHaveLength(0);
    expect(await read()).toEqual(before);
  });

  it('connections that hang are not given to the next request', async () => {
    proxy.stall();
    await Promise.all(everything().map((call) => call()));
    proxy.restore();
    // The pool may hold connections that were stalled; each of them is let go of after one use at most.
    await expect.poll(() => works(), { timeout: 5_000 }).toBe(true);
    const after = await Promise.all(Array.from({ length: 40 }, () => service.asHolder(key, '/validate')));
    expect(after.filter(({ status }) => status !== 200).length).toBeLessThanOrEqual(10);
  });
});
