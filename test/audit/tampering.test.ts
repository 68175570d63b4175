import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NO_ORGANIZATION } from '../../src/audit/event.ts';
import { type Auditor, auditorOf, loggedHeads } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

/** Logs the heads of chains that moved once a second. */
let service: TestService;
let auditor: Auditor;
beforeAll(async () => {
  service = await startService({ environment: { AUDIT_HEADS_LOG_MS: '1000' } });
  auditor = auditorOf(service);
});
afterAll(async () => {
  await auditor.close();
  await service.stop();
});

/** An organisation with six events, and whoever can write to the database and has no key. */
let org: string;
let chain: string;
beforeEach(async () => {
  org = newOrganization();
  await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
  for (let n = 0; n < 4; n += 1) await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
  const [row] = await service.sql<{ id: string }>('select id from key_service.organizations where clerk_org_id = $1', [
    org,
  ]);
  chain = row?.id ?? '';
  expect(await faults()).toEqual([]);
});

const faults = async () =>
  (await auditor.faults()).filter(({ clerkOrgId }) => clerkOrgId === org).map(({ fault }) => fault);
const faultsWithHeads = async () => {
  const found = await auditor.all(loggedHeads(service));
  return found.filter((verified) => verified.chain === chain).map(({ fault }) => fault);
};
const sql = (statement: string, values: unknown[] = []) => service.sql<Record<string, unknown>>(statement, values);
const idOf = async (sequence: number) =>
  (await sql('select id from key_service.audit_events where chain = $1 and sequence = $2', [chain, sequence]))[0]?.[
    'id'
  ];
/** What the log has of this chain, once it has the sixth event. */
const whenLogged = () => expect.poll(() => loggedHeads(service).get(chain)?.has(6), { timeout: 5_000 }).toBe(true);
/** Makes the newest event that is left the head, as somebody would who cuts off the end. */
const moveHead = () =>
  sql(
    `update key_service.audit_chains c set (sequence, mac) = (select sequence, mac from key_service.audit_events e
     where e.chain = c.chain order by sequence desc limit 1) where chain = $1`,
    [chain],
  );

/** An organisation, and all that is stored of it. */
const WITHOUT_A_TRACE = [
  'delete from key_service.audit_events where chain = $1',
  'delete from key_service.audit_chains where chain = $1',
  `delete from key_service.provider_key_uses where provider_key_id in
     (select id from key_service.provider_keys where organization_id = $1)`,
  `delete from key_service.provider_key_versions where provider_key_id in
     (select id from key_service.provider_keys where organization_id = $1)`,
  'delete from key_service.provider_keys where organization_id = $1',
  'delete from key_service.api_keys where organization_id = $1',
  'delete from key_service.data_keys where organization_id = $1',
  'delete from key_service.organizations where id = $1',
];

describe('The verifier names an event of which somebody has altered', () => {
  it.each([
    ['id', `id = gen_random_uuid()`],
    ['occurred_at', `occurred_at = occurred_at - interval '1 millisecond'`],
    ['occurred_at, to no instant', `occurred_at = 'infinity'`],
    ['occurred_at, by an era', `occurred_at = occurred_at - interval '4051 years'`],
    ['actor_kind', `actor_kind = 'api-key'`],
    ['actor', `actor = 'somebody-else'`],
    ['action', `action = 'provider_key.removed'`],
    ['target_type', `target_type = 'api-key'`],
    ['target_id', `target_id = gen_random_uuid()::text`],
    ['target_id, to nothing', `target_id = null`],
    ['provider', `provider = 'anthropic'`],
    ['provider, to an empty text', `provider = ''`],
    ['provider, to nothing', `provider = null`],
    ['request_id', `request_id = request_id || '0'`],
    ['address', `address = '10.0.0.1'`],
    ['address, to nothing', `address = null`],
    ['details', `details = '{"version": 2, "source": "own"}'`],
    ['details, by a member', `details = details || '{"more": null}'`],
    ['details, in the form of a number', `details = '{"version": 1.0, "source": "own"}'`],
    ['details, beyond what a number holds', `details = '{"version": 1.00000000000000000001, "source": "own"}'`],
    ['details, to another type', `details = '{"version": "1", "source": "own"}'`],
    ['details, to no object', `details = '[]'`],
    ['mac', 'mac = set_byte(mac, 31, get_byte(mac, 31) # 1)'],
    ['mac, to a part of it', 'mac = substr(mac, 1, 16)'],
    ['mac, to nothing', `mac = ''`],
  ])('%s', async (_, change) => {
    const before = await idOf(4);
    await sql(`update key_service.audit_events set ${change} where chain = $1 and sequence = 4`, [chain]);
    expect(await faults()).toEqual([{ kind: 'altered', sequence: 4, eventId: await idOf(4) }]);
    expect(before).toBeDefined();
  });

  it('data_key_id, to one that is not there, and to one that is no audit key', async () => {
    const set = 'update key_service.audit_events set data_key_id';
    await sql(`${set} = gen_random_uuid() where chain = $1 and sequence = 4`, [chain]);
    expect(await faults()).toEqual([{ kind: 'unknown_key', sequence: 4, eventId: await idOf(4) }]);
    await sql(
      `${set} = (select id from key_service.data_keys where purpose = 'system') where chain = $1 and sequence = 4`,
      [chain],
    );
    expect(await faults()).toEqual([{ kind: 'unknown_key', sequence: 4, eventId: await idOf(4) }]);
  });

  it('sequence', async () => {
    await sql('update key_service.audit_events set sequence = 40 where chain = $1 and sequence = 4', [chain]);
    expect(await faults()).toEqual([{ kind: 'missing', sequence: 4, eventId: null }]);
  });

  it('chain', async () => {
    const other = newOrganization();
    await service.issueKey(other);
    await sql(
      `update key_service.audit_events set chain = (select id from key_service.organizations where clerk_org_id = $2),
       sequence = 2 where chain = $1 and sequence = 6`,
      [chain, other],
    );
    expect(await faults()).toEqual([{ kind: 'missing', sequence: 6, eventId: null }]);
    const ofOther = (await auditor.faults()).find(({ clerkOrgId }) => clerkOrgId === other);
    expect(ofOther?.fault).toMatchObject({ kind: 'altered', sequence: 2 });
  });
});

describe('The verifier finds that', () => {
  it.each([1, 3, 6])('event %i was deleted', async (sequence) => {
    await sql('delete from key_service.audit_events where chain = $1 and sequence = $2', [chain, sequence]);
    expect(await faults()).toEqual([{ kind: 'missing', sequence, eventId: null }]);
  });

  it('an event was deleted, and the later ones moved up', async () => {
    await sql('delete from key_service.audit_events where chain = $1 and sequence = 3', [chain]);
    await sql('update key_service.audit_events set sequence = -sequence where chain = $1 and sequence > 3', [chain]);
    await sql('update key_service.audit_events set sequence = -sequence - 1 where chain = $1 and sequence < 0', [
      chain,
    ]);
    await moveHead();
    expect(await faults()).toEqual([{ kind: 'altered', sequence: 3, eventId: await idOf(3) }]);
  });

  it('two events have changed places', async () => {
    const swap = (from: number, to: number) =>
      sql('update key_service.audit_events set sequence = $3 where chain = $1 and sequence = $2', [chain, from, to]);
    await swap(3, 99);
    await swap(4, 3);
    await swap(99, 4);
    expect(await faults()).toEqual([{ kind: 'altered', sequence: 3, eventId: await idOf(3) }]);
  });

  it.each([
    ['after the last', 7, true],
    ['after the last, and the head left as it was', 7, false],
    ['before the first', 0, true],
  ])('an event was forged %s', async (_, sequence, move) => {
    const id = randomUUID();
    await sql(
      `insert into key_service.audit_events select (jsonb_populate_record(e, jsonb_build_object('id', $2::text,
       'sequence', $3::int, 'actor', 'nobody'))).* from key_service.audit_events e where chain = $1 and sequence = 6`,
      [chain, id, sequence],
    );
    if (move) await moveHead();
    expect(await faults()).toEqual([{ kind: 'altered', sequence, eventId: id }]);
  });

  it('two organisations have exchanged their chains, whole and with their heads', async () => {
    const other = newOrganization();
    await service.issueKey(other);
    const [row] = await sql('select id from key_service.organizations where clerk_org_id = $1', [other]);
    const both = [chain, row?.['id']];
    const events = 'update key_service.audit_events set';
    await sql(`${events} chain = $2, sequence = -sequence where chain = $1`, both);
    await sql(`${events} chain = $1 where chain = $2 and sequence > 0`, both);
    await sql(`${events} sequence = -sequence where chain = $1 and sequence < 0`, both.slice(1));
    await sql(
      `update key_service.audit_chains c set sequence = o.sequence, mac = o.mac from key_service.audit_chains o
       where (c.chain, o.chain) in (($1::uuid, $2::uuid), ($2::uuid, $1::uuid))`,
      both,
    );
    expect(await faults()).toEqual([{ kind: 'altered', sequence: 1, eventId: await idOf(1) }]);
  });

  it('an event that was cut off stands in the place of the one that was added since', async () => {
    const [kept] = await sql(
      'select to_jsonb(e) as event from key_service.audit_events e where chain = $1 and sequence = 5',
      [chain],
    );
    await sql('delete from key_service.audit_events where chain = $1 and sequence > 4', [chain]);
    await moveHead();
    for (let n = 0; n < 2; n += 1) await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    expect(await faults()).toEqual([]);
    await sql('delete from key_service.audit_events where chain = $1 and sequence = 5', [chain]);
    await sql(
      'insert into key_service.audit_events select * from jsonb_populate_record(null::key_service.audit_events, $1)',
      [kept?.['event']],
    );
    expect(await faults()).toEqual([{ kind: 'altered', sequence: 6, eventId: await idOf(6) }]);
  });

  it('an event was copied, whole', async () => {
    await sql(
      `insert into key_service.audit_events select (jsonb_populate_record(e, '{"sequence": 7}')).*
       from key_service.audit_events e where chain = $1 and sequence = 6`,
      [chain],
    );
    await moveHead();
    expect(await faults()).toEqual([{ kind: 'altered', sequence: 7, eventId: await idOf(7) }]);
  });

  it('the audit data key was exchanged, or is gone', async () => {
    const own = await startService();
    const observed = auditorOf(own);
    const other = newOrganization();
    await own.issueKey(other);
    await own.sql(
      `update key_service.data_keys set wrapped = (select wrapped from key_service.data_keys where purpose = 'system')
       where purpose = 'audit'`,
    );
    expect(await observed.faults()).toMatchObject([{ clerkOrgId: other, fault: { kind: 'unknown_key', sequence: 1 } }]);
    await own.sql(`delete from key_service.data_keys where purpose = 'audit'`);
    expect(await observed.faults()).toMatchObject([{ clerkOrgId: other, fault: { kind: 'unknown_key', sequence: 1 } }]);
    await observed.close();
    await own.stop();
  });

  it('the head was set to something else, or deleted', async () => {
    await sql('update key_service.audit_chains set sequence = 5 where chain = $1', [chain]);
    expect(await faults()).toEqual([{ kind: 'head_altered', sequence: 5, eventId: null }]);
    await sql("update key_service.audit_chains set sequence = 6, mac = '' where chain = $1", [chain]);
    expect(await faults()).toEqual([{ kind: 'head_altered', sequence: 6, eventId: null }]);
    await sql('delete from key_service.audit_chains where chain = $1', [chain]);
    expect(await faults()).toEqual([{ kind: 'head_altered', sequence: 0, eventId: null }]);
  });

  it('all of a chain was deleted, and its head', async () => {
    await sql('delete from key_service.audit_events where chain = $1', [chain]);
    await sql('delete from key_service.audit_chains where chain = $1', [chain]);
    expect(await faults()).toEqual([{ kind: 'head_altered', sequence: 0, eventId: null }]);
  });

  it('the chain of what belongs to no organisation was deleted', async () => {
    const [head] = await sql('delete from key_service.audit_chains where chain = $1 returning *', [NO_ORGANIZATION]);
    expect(await auditor.faults()).toContainEqual({
      clerkOrgId: null,
      fault: { kind: 'head_altered', sequence: 0, eventId: null },
    });
    await sql('insert into key_service.audit_chains values ($1, $2, $3)', Object.values(head ?? {}));
    expect(await auditor.faults()).not.toContainEqual(expect.objectContaining({ clerkOrgId: null }));
  });

  it('a checkpoint was forged, to hide that the beginning is gone', async () => {
    await sql('delete from key_service.audit_events where chain = $1 and sequence <= 3 ', [chain]);
    await sql(
      `insert into key_service.audit_checkpoints select chain, 3, mac, now(), data_key_id, mac
       from key_service.audit_events where chain = $1 and sequence = 4`,
      [chain],
    );
    expect(await faults()).toEqual([{ kind: 'checkpoint_altered', sequence: 3, eventId: null }]);
  });
});

describe('With the heads that were logged the verifier finds that', () => {
  it('nothing was altered, where nothing was', async () => {
    await whenLogged();
    expect(await faultsWithHeads()).toEqual([null]);
  });

  it('the end of a chain was cut off, and its head moved back', async () => {
    await whenLogged();
    await sql('delete from key_service.audit_events where chain = $1 and sequence > 4', [chain]);
    await moveHead();
    expect(await faults()).toEqual([]);
    expect(await faultsWithHeads()).toEqual([{ kind: 'tail_cut', sequence: 5, eventId: null }]);
  });

  it('the end of a chain was cut off, and the service has added to it since', async () => {
    await whenLogged();
    await sql('delete from key_service.audit_events where chain = $1 and sequence > 4', [chain]);
    await moveHead();
    for (let n = 0; n < 4; n += 1) await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    expect(await faults()).toEqual([]);
    expect(await faultsWithHeads()).toEqual([{ kind: 'rewritten', sequence: 6, eventId: await idOf(6) }]);
  });

  it('all of a chain is gone, and all that knew of it', async () => {
    await whenLogged();
    for (const statement of WITHOUT_A_TRACE) await sql(statement, [chain]);
    const known = (await auditor.all()).map((verified) => verified.chain);
    expect(known).not.toContain(chain);
    expect(await faultsWithHeads()).toEqual([{ kind: 'tail_cut', sequence: 1, eventId: null }]);
  });
});
