import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Auditor, auditorOf, holdEvents, locksOfEvents } from '../support/audit.ts';
import { changesArrived } from '../support/changes-arrived.ts';
import { type Answer, newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const LIMIT_MS = 2_000;
const SECRET = 'sk-not-a-real-secret-0123456789';
const org = newOrganization();

/** The change feed goes another way, so that everything is in memory but the audit cannot be written. */
let proxy: TcpProxy;
let service: TestService;
let auditor: Auditor;
let key: string;
beforeAll(async () => {
  service = await startService({
    environment: { CACHE_LEASE_MS: '60000', METRICS_PORT: '0' },
    leadChangeFeed: async (url) => url,
    async leadDatabase(url) {
      proxy = await startTcpProxy(url);
      return proxy.through(url);
    },
  });
  auditor = auditorOf(service);
  ({ key } = await service.issueKey(org));
  await service.saveProviderKey(org, 'openai', SECRET);
});
/** Everything is in memory again. */
beforeEach(async () => {
  await changesArrived(service);
  await expect.poll(async () => (await holdersReveal()).status).toBe(200);
});
afterEach(async () => {
  proxy.restore();
  await service.sql('drop function if exists key_service.disk_full cascade');
  await expect.poll(async () => (await holdersReveal()).status, { timeout: 15_000 }).toBe(200);
  await expect.poll(async () => (await servicesReveal()).status, { timeout: 15_000 }).toBe(200);
  expect(await auditor.faults()).toEqual([]);
});
afterAll(async () => {
  await auditor.close();
  await service.stop();
  await proxy.close();
});

const holdersReveal = () => service.asHolder(key, '/validate/keys/openai');
const servicesReveal = () => service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
const many = (count: number, ask: () => Promise<Answer>) =>
  Promise.all(Array.from({ length: count }, () => timed(ask)));

function expectRefused({ answer, tookMs }: { answer: Answer; tookMs: number }, ...codes: string[]): void {
  expect(codes).toContain(answer.body?.code);
  expectProblem(answer, 503, answer.body.code);
  expect(answer.headers.get('retry-after')).toBe('1');
  expect(answer.text).not.toContain(SECRET);
  expect(tookMs).toBeLessThan(LIMIT_MS);
}

/** Nothing can be added to it for 2.5 s. */
const holdTable = () => holdEvents(service, 2.5);

describe('A reveal whose event cannot be written', () => {
  it.each([
    ['the database refuses connections', () => proxy.cut()],
    ['the database answers nothing any more', () => proxy.stall()],
  ] as const)('is a 503 within 2 s, without its secret: %s', async (_, takeAway) => {
    takeAway();
    for (const asked of await many(100, holdersReveal)) expectRefused(asked, 'audit_unavailable');
    for (const asked of await many(10, servicesReveal))
      expectRefused(asked, 'audit_unavailable', 'database_unavailable');
    // And again, when whoever waited before has been told.
    for (const asked of await many(10, holdersReveal)) expectRefused(asked, 'audit_unavailable');
  });

  it('is a 503 within 2 s when that it was committed is not heard, though the event is there', async () => {
    const events = () => service.sql("select from key_service.audit_events where action = 'provider_key.revealed'");
    const before = (await events()).length;
    proxy.stallAfter('append_audit_events');
    for (const asked of await many(20, holdersReveal)) expectRefused(asked, 'audit_unavailable');
    await expect.poll(async () => (await events()).length).toBeGreaterThan(before);
  });

  it('is a 503 when the disk is full', async () => {
    await service.sql(`create function key_service.disk_full() returns trigger language plpgsql as
      $$ begin raise exception 'no space left' using errcode = '53100'; end $$`);
    await service.sql(`create trigger disk_full before insert on key_service.audit_events
      execute function key_service.disk_full()`);
    for (const asked of await many(50, holdersReveal)) expectRefused(asked, 'audit_unavailable');
    for (const asked of await many(5, servicesReveal)) expectRefused(asked, 'audit_unavailable');
  });

  it('is a 503 within 2 s while somebody holds the table, and is let through afterwards', async () => {
    const held = await holdTable();
    for (const asked of await many(50, holdersReveal)) expectRefused(asked, 'audit_unavailable');
    // A validation has nothing to record.
    expect((await service.asHolder(key, '/validate')).status).toBe(200);
    await held.released;
  });

  it('does not make the next wait for those that were given up', async () => {
    proxy.stall();
    await many(300, holdersReveal);
    proxy.restore();
    await sleep(1_100); // the transaction that was under way is given up after a second
    const { answer, tookMs } = await timed(holdersReveal);
    expect(answer.status).toBe(200);
    expect(tookMs).toBeLessThan(1_000);
  });

  it('does not keep a stop waiting', async () => {
    const own = await startService({ beside: service });
    await own.asHolder(key, '/validate/keys/openai');
    const held = await holdTable();
    const asked = own.asHolder(key, '/validate/keys/openai');
    await expect.poll(() => locksOfEvents(service, 'not granted')).toHaveLength(1);
    const { tookMs } = await timed(() => own.stop());
    expect((await asked).status).toBe(503);
    expect(tookMs).toBeLessThan(6_000);
    await held.released;
  });
});
