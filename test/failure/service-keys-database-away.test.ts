import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/key-format.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { callsWith, type NamedCaller, newServiceCaller } from '../support/service-caller.ts';
import { timed } from '../support/stopwatch.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const LIMIT_MS = 2_000;
const LEASE_MS = 200;
const PATH = `/internal/keys?clerkOrgId=${newOrganization()}`;

let proxy: TcpProxy;
let service: TestService;
let caller: NamedCaller;
beforeAll(async () => {
  service = await startService({
    environment: { CACHE_LEASE_MS: String(LEASE_MS) },
    async leadDatabase(url) {
      proxy = await startTcpProxy(url);
      return proxy.through(url);
    },
  });
  caller = await newServiceCaller(service, { permissions: ['provider-keys:read'] });
});
afterEach(async () => {
  proxy.restore();
  await expect.poll(async () => (await caller.as('GET', PATH)).status, { timeout: 10_000 }).toBe(200);
});
afterAll(async () => {
  await service.stop();
  await proxy.close();
});

describe.each([
  ['refuses connections', () => proxy.cut()],
  ['answers nothing any more on connections that look alive', () => proxy.stall()],
] as const)('While the database %s', (_, takeAway) => {
  it('a service key is a 503 within two seconds, known before or not, and never a 401', async () => {
    takeAway();
    await sleep(LEASE_MS);
    const unknown = callsWith(service, generateKey('ks', 'service').key);
    const calls = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? caller.as : unknown));
    for (const { answer, tookMs } of await Promise.all(calls.map((as) => timed(() => as('GET', PATH))))) {
      expectProblem(answer, 503, 'database_unavailable');
      expect(answer.headers.get('retry-after')).toBe('1');
      expect(tookMs).toBeLessThan(LIMIT_MS);
    }
  });

  it('the root caller is known, and what is no key of this service is refused', async () => {
    takeAway();
    await sleep(LEASE_MS);
    expectInvalid(await service.asService('GET', '/internal/keys'), '/clerkOrgId');
    expectProblem(await service.asService('GET', PATH), 503, 'database_unavailable');
    expectProblem(await callsWith(service, 'no-service-key')('GET', PATH), 401, 'service_key_invalid');
    expectProblem(await service.request('GET', PATH), 401, 'service_key_missing');
  });

  it('what administers service keys is a 503 within two seconds', async () => {
    takeAway();
    const calls = [
      () => service.asService('GET', '/internal/service-keys'),
      () => service.asService('POST', '/internal/service-keys', { name: 'never' }),
      () => service.asService('DELETE', `/internal/service-keys/${caller.id}`),
    ];
    for (const { answer, tookMs } of await Promise.all(calls.map((call) => timed(call)))) {
      expectProblem(answer, 503, 'database_unavailable');
      expect(tookMs).toBeLessThan(LIMIT_MS);
    }
    proxy.restore();
    expect(await service.sql("select 1 from key_service.service_keys where name = 'never'")).toEqual([]);
  });
});
