import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Audit } from '../../src/audit/audit.ts';
import { MovedHeads } from '../../src/audit/moved-heads.ts';
import { Retention } from '../../src/audit/retention.ts';
import { type Auditor, auditorOf, listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

const caller = { kind: 'system', name: 'retention', requestId: randomUUID(), address: null } as const;

let service: TestService;
let auditor: Auditor;
let audit: Audit;
let retention: Retention;
let clock = () => new Date();
beforeAll(async () => {
  service = await startService();
  auditor = auditorOf(service);
  audit = new Audit({
    database: auditor.database,
    keys: auditor.keys,
    heads: new MovedHeads(() => {}),
    onBatch: () => {},
    onEvents: () => {},
    onWaited: () => {},
    onHeadless: () => {},
    now: () => clock(),
  });
  retention = new Retention(audit, auditor.keys);
});
afterAll(async () => {
  await auditor.close();
  await service.stop();
});

let org: string;
let chain: string;
beforeEach(async () => {
  org = newOrganization();
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
  const [row] = await service.sql<{ id: string }>('select id from key_service.organizations where clerk_org_id = $1', [
    org,
  ]);
  chain = row?.id ?? '';
});

/** Records so many events, by the clock of a replica that is days behind. */
async function addEvents(count: number, daysAgo: number): Promise<void> {
  clock = () => new Date(Date.now() - daysAgo * 86_400_000);
  const event = {
    organizationId: chain,
    action: 'provider_key.revealed',
    target: { type: 'provider-key', id: null },
  } as const;
  await Promise.all(Array.from({ length: count }, () => audit.reveal(caller, event, 10_000)));
  clock = () => new Date();
}
/** Instead of what the organisation has, which is of now, so many events of 40 days ago. */
async function oldChain(events: number) {
  await service.sql('delete from key_service.audit_events where chain = $1', [chain]);
  await service.sql(`update key_service.audit_chains set sequence = 0, mac = '' where chain = $1`, [chain]);
  await addEvents(events, 40);
}
const left = async () =>
  (await listEvents(service, { clerkOrgId: org, limit: '100' })).events.map(({ sequence }) => sequence).reverse();
const faults = async () => (await auditor.faults()).map(({ fault }) => fault);

describe('Retention', () => {
  it('cuts what is older, keeps the rest, and what is left verifies and grows', async () => {
    await oldChain(7);
    await addEvents(3, 20);
    expect(await retention.cut(caller, 30)).toMatchObject({ chains: 1, events: 7, busy: false, faults: [] });
    expect(await left()).toEqual([8, 9, 10]);
    expect(await faults()).toEqual([]);
    await service.issueKey(org);
    expect(await left()).toEqual([8, 9, 10, 11]);
    expect(await faults()).toEqual([]);
    expect(await retention.cut(caller, 30)).toMatchObject({ chains: 0, events: 0 });
    expect(await retention.cut(caller, 10)).toMatchObject({ chains: 1, events: 3 });
    expect(await left()).toEqual([11]);
    expect(await faults()).toEqual([]);
  });

  it('cuts a whole chain, which goes on after it', async () => {
    await oldChain(5);
    expect(await retention.cut(caller, 30)).toMatchObject({ events: 5 });
    expect(await left()).toEqual([]);
    expect(await faults()).toEqual([]);
    await service.issueKey(org);
    expect(await left()).toEqual([6]);
    expect(await faults()).toEqual([]);
  });

  it('cuts in small batches, and records each', async () => {
    await oldChain(1_200);
    expect(await retention.cut(caller, 30)).toMatchObject({ chains: 1, events: 1_200 });
    expect(await faults()).toEqual([]);
    const { events } = await listEvents(service, { action: 'audit.cut', limit: '3' });
    expect(events.map(({ clerkOrgId, actor, details }) => ({ clerkOrgId, actor, events: details['events'] }))).toEqual([
      { clerkOrgId: null, actor: { kind: 'system', name: 'retention' }, events: 200 },
      { clerkOrgId: null, actor: { kind: 'system', name: 'retention' }, events: 500 },
      { clerkOrgId: null, actor: { kind: 'system', name: 'retention' }, events: 500 },
    ]);
  });

  it('leaves what is older than an event that stays, for clocks differ', async () => {
    await oldChain(2);
    await addEvents(1, 20);
    await addEvents(2, 40);
    expect(await retention.cut(caller, 30)).toMatchObject({ events: 2 });
    expect((await left()).toSorted()).toEqual([3, 4, 5]);
    expect(await faults()).toEqual([]);
  });

  it('does not cut, and so not sign, what somebody has altered', async () => {
    await oldChain(5);
    await service.sql(`update key_service.audit_events set actor = 'nobody' where chain = $1 and sequence = 3`, [
      chain,
    ]);
    const report = await retention.cut(caller, 30);
    expect(report).toMatchObject({ events: 0, faults: [{ chain, fault: { kind: 'altered', sequence: 3 } }] });
    expect(await faults()).toMatchObject([{ kind: 'altered', sequence: 3 }]);
    await service.sql(`update key_service.audit_events set actor = 'retention' where chain = $1 and sequence = 3`, [
      chain,
    ]);
    expect(await faults()).toEqual([]);
    expect(await retention.cut(caller, 30)).toMatchObject({ events: 5 });
  });

  it('is done by one process at a time', async () => {
    await oldChain(5);
    const reports = await Promise.all([
      retention.cut(caller, 30),
      retention.cut(caller, 30),
      retention.cut(caller, 30),
    ]);
    expect(reports.reduce((sum, { events }) => sum + events, 0)).toBe(5);
    expect(await faults()).toEqual([]);
  });

  it.each([
    ['sequence', 'sequence = sequence - 1'],
    ['mac', 'mac = set_byte(mac, 0, get_byte(mac, 0) # 1)'],
    ['cut_at', `cut_at = cut_at + interval '1 ms'`],
    ['signature', 'signature = set_byte(signature, 0, get_byte(signature, 0) # 1)'],
    ['data_key_id', 'data_key_id = gen_random_uuid()'],
  ])('leaves a checkpoint of which nobody can alter the %s', async (_, change) => {
    await oldChain(5);
    await addEvents(2, 20);
    await retention.cut(caller, 30);
    const before = await service.sql('select * from key_service.audit_checkpoints where chain = $1', [chain]);
    await service.sql(`update key_service.audit_checkpoints set ${change} where chain = $1`, [chain]);
    expect(await faults()).toMatchObject([{ kind: 'checkpoint_altered' }]);
    const [row] = before as Record<string, unknown>[];
    await service.sql('delete from key_service.audit_checkpoints where chain = $1', [chain]);
    expect(await faults()).toMatchObject([{ kind: 'missing', sequence: 1 }]);
    await service.sql(
      'insert into key_service.audit_checkpoints values ($1, $2, $3, $4, $5, $6)',
      Object.values(row ?? {}),
    );
    expect(await faults()).toEqual([]);
  });

  it('leaves what the log has of events that are gone out of the comparison, and their checkpoint in it', async () => {
    await oldChain(5);
    const macs = await service.sql<{ sequence: string; mac: Buffer }>(
      'select sequence, mac from key_service.audit_events where chain = $1 order by sequence',
      [chain],
    );
    const logged = new Map(macs.map(({ sequence, mac }) => [Number(sequence), mac.toString('hex').slice(0, 32)]));
    await retention.cut(caller, 30);
    expect(await auditor.faults(new Map([[chain, logged]]))).toEqual([]);
    expect(await auditor.faults(new Map([[chain, logged.set(5, '0'.repeat(32))]]))).toMatchObject([
      { fault: { kind: 'rewritten', sequence: 5 } },
    ]);
  });
});
