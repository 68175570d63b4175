import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Appender } from '../../src/audit/appender.ts';
import { type UnchainedEvent, unchainedEvent } from '../../src/audit/event.ts';
import { openDatabase } from '../../src/database/database.ts';
import { type Auditor, auditorOf } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const LIMIT_MS = 5_000;
const caller = { kind: 'system', name: 'test', requestId: randomUUID(), address: null } as const;

let service: TestService;
let auditor: Auditor;
let proxy: TcpProxy;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  service = await startService();
  auditor = auditorOf(service);
  proxy = await startTcpProxy(service.databaseUrl);
});
afterAll(async () => {
  for (const close of closing) await close();
  await auditor.close();
  await service.stop();
  await proxy.close();
});

/** One that knows no heads yet, as in another replica. */
function appender(
  url = service.databaseUrl,
  { pooled = false, ...patience }: { pooled?: boolean; patienceMs?: number } = {},
) {
  const database = openDatabase({ server: { url, pooled }, poolMax: 2, onIdleConnectionLost: () => {}, ...patience });
  closing.push(() => database.close(1_000));
  return new Appender(database);
}
async function newChain(): Promise<string> {
  const org = newOrganization();
  await service.issueKey(org);
  const [row] = await service.sql<{ id: string }>('select id from key_service.organizations where clerk_org_id = $1', [
    org,
  ]);
  return row?.id ?? '';
}
const eventsOf = (...chains: string[]): UnchainedEvent[] =>
  chains.map((organizationId) =>
    unchainedEvent(
      caller,
      { organizationId, action: 'provider_key.revealed', target: { type: 'provider-key', id: null } },
      { id: randomUUID(), occurredAt: new Date() },
    ),
  );
const append = async (to: Appender, events: UnchainedEvent[]) =>
  to.append(await auditor.keys.current(LIMIT_MS), events, LIMIT_MS);
const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id).toSorted();
const stored = async () =>
  idsOf(await service.sql<{ id: string }>('select id from key_service.audit_events where chain = any($1)', [chains]));

let chains: string[];
let before: string[];
beforeEach(async () => {
  chains = [await newChain(), await newChain(), await newChain()];
  before = await stored();
});
afterEach(() => proxy.restore());

describe('Events that are appended by themselves', () => {
  it('follow what others have added meanwhile, each of them stored once', async () => {
    const [one, other] = [appender(), appender()];
    const batches = [
      [one, eventsOf(...chains, ...chains)],
      // `one` knows where it has left all three, and is wrong of the first after this.
      [other, eventsOf(chains[0] ?? '')],
      [one, eventsOf(...chains, chains[0] ?? '')],
      [one, eventsOf(...chains)],
      // `other` knows the first, is wrong of it, and has to read two.
      [other, eventsOf(...chains)],
    ] as const;
    for (const [to, events] of batches) {
      const { events: linked, homeless } = await append(to, [...events]);
      expect(idsOf(linked)).toEqual(idsOf(events));
      expect(homeless).toEqual([]);
    }
    expect(await stored()).toEqual(idsOf([...before.map((id) => ({ id })), ...batches.flatMap(([, all]) => all)]));
    expect(await auditor.faults()).toEqual([]);
  });

  it('follow each other when many replicas add to the same chains at once', async () => {
    const replicas = [appender(), appender(), appender(), appender()];
    const added = await Promise.all(
      replicas.map(async (replica, at) => {
        const all: UnchainedEvent[] = [];
        for (let n = 0; n < 40; n += 1) {
          // Not in one order everywhere: they would wait for each other for ever, if heads were not locked in one.
          const events = eventsOf(...(at % 2 === 0 ? chains : chains.toReversed()));
          all.push(...events);
          await append(replica, events);
        }
        return all;
      }),
    );
    expect(await stored()).toEqual(idsOf([...before.map((id) => ({ id })), ...added.flat()]));
    expect(await auditor.faults()).toEqual([]);
  });

  it('follow a change of the same replica, which moved the head as well', async () => {
    const one = appender();
    await append(one, eventsOf(...chains));
    const key = await auditor.keys.current(LIMIT_MS);
    const { heads } = await auditor.database.transaction((queries) => one.appendIn(queries, key, eventsOf(...chains)));
    one.note(heads);
    await append(one, eventsOf(...chains));
    expect((await stored()).length - before.length).toBe(9);
    expect(await auditor.faults()).toEqual([]);
  });

  it('are refused where the head is gone, though it is known, and keep none of the others', async () => {
    const one = appender();
    await append(one, eventsOf(...chains));
    const [gone] = await service.sql<Record<string, unknown>>(
      'delete from key_service.audit_chains where chain = $1 returning *',
      [chains[1]],
    );
    const events = eventsOf(...chains);
    const { events: linked, homeless } = await append(one, events);
    expect(homeless).toEqual([events[1]]);
    expect(linked.map(({ chain }) => chain)).toEqual([chains[0], chains[2]]);
    await service.sql('insert into key_service.audit_chains values ($1, $2, $3)', Object.values(gone ?? {}));
    expect(await auditor.faults()).toEqual([]);
  });

  it('are stored though those of a chain that another replica has moved cannot be, and just these are named', async () => {
    const one = appender(proxy.through(service.databaseUrl));
    await append(one, eventsOf(...chains));
    await append(appender(), eventsOf(chains[0] ?? ''));
    const events = eventsOf(...chains, ...chains);
    // What is stored at once is one statement, and no transaction.
    proxy.stallAt('begin');
    const { events: linked, uncertain, heads } = await append(one, events);
    proxy.restore();
    expect(uncertain).toEqual([events[0], events[3]]);
    expect(idsOf(linked)).toEqual(idsOf(events.filter(({ chain }) => chain !== chains[0])));
    expect(heads.map(({ chain }) => chain)).toEqual([chains[1], chains[2]]);
    expect((await stored()).length - before.length).toBe(3 + 1 + 4);
    expect((await append(one, eventsOf(...chains))).uncertain).toEqual([]);
    expect(await auditor.faults()).toEqual([]);
  });

  it('keep their chains from nobody for long when the process stops before it commits, behind a pooler too', async () => {
    const stopped = appender(proxy.through(service.databaseUrl), { pooled: true, patienceMs: 10_000 });
    await append(stopped, eventsOf(...chains));
    proxy.stallAt('commit');
    const never = append(stopped, eventsOf(...chains)).catch(() => 'failed');
    await expect
      .poll(() =>
        service.sql(
          "select from pg_stat_activity where datname = current_database() and state = 'idle in transaction' and query like '%moved%'",
        ),
      )
      .toHaveLength(1);
    const began = performance.now();
    const other = appender();
    await expect
      .poll(
        () =>
          append(other, eventsOf(...chains)).then(
            () => true,
            () => false,
          ),
        { timeout: 6_000 },
      )
      .toBe(true);
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(await never).toBe('failed');
    expect((await stored()).length - before.length).toBe(6);
    expect(await auditor.faults()).toEqual([]);
  });

  it('may be stored when that was not told, and the next follow them', async () => {
    const one = appender(proxy.through(service.databaseUrl));
    await append(one, eventsOf(...chains));
    proxy.stallAfter('append_audit_events');
    await expect(append(one, eventsOf(...chains))).rejects.toThrow();
    proxy.restore();
    await append(one, eventsOf(...chains));
    expect((await stored()).length - before.length).toBe(9);
    expect(await auditor.faults()).toEqual([]);
  });
});
