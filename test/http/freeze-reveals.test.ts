import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { keyed } from '../support/keyed-request.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret-0123456789';
/** For what the other replica learns from the database. */
const SOON = { timeout: 5_000, interval: 5 };

let service: TestService;
let beside: TestService;
const checker = new ScriptedChecker();
beforeAll(async () => {
  // The lease outlives the tests: what is refused in them was not merely read again.
  service = await startService({ providerChecker: checker, environment: { CACHE_LEASE_MS: '60000' } });
  beside = await startService({ beside: service, environment: { CACHE_LEASE_MS: '60000' } });
});
afterAll(async () => {
  await beside.stop();
  await service.stop();
});

const post = (path: string, body?: unknown) => service.asService('POST', path, body);
const freeze = (org: string) => post(`/internal/organizations/${org}/freeze-reveals`);
const unfreeze = (org: string) => post(`/internal/organizations/${org}/unfreeze-reveals`);
const freezeAll = () => post('/internal/freeze-reveals');
const unfreezeAll = () => post('/internal/unfreeze-reveals');

/** An organisation with keys of its own and the platform's, all of which both replicas have handed out. */
async function holder() {
  const org = newOrganization();
  const { key } = await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', SECRET);
  await post('/internal/platform-keys', { provider: 'exa', apiKey: SECRET });
  await service.asService('PUT', '/internal/keys/exa/source', { clerkOrgId: org, source: 'platform' });
  const ways = (on: TestService) => ({
    holder: () => on.asHolder(key, '/validate/keys/openai'),
    service: () => on.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`),
    "service, the platform's": () => on.asService('GET', `/internal/keys/exa/decrypt?clerkOrgId=${org}`),
  });
  for (const on of [service, beside]) {
    for (const way of Object.values(ways(on))) expect((await way()).body.key).toBe(SECRET);
  }
  return { org, key, ways };
}

const outcomeOf = async (way: () => ReturnType<TestService['asHolder']>) => {
  const { status, body } = await way();
  return status === 200 ? body.key : body.code;
};
const eventsOf = async (query: Record<string, string>) =>
  (await listEvents(service, { limit: '100', ...query })).events;

describe('POST /internal/organizations/:clerkOrgId/freeze-reveals and /unfreeze-reveals', () => {
  it('200: every way to a secret of the organisation is 423, on every replica, though memory has it', async () => {
    const { org, ways } = await holder();
    const other = await holder();
    for (let round = 0; round < 3; round += 1) {
      const { status, body } = await freeze(org);
      expect({ status, body }).toEqual({
        status: 200,
        body: { clerkOrgId: org, frozenAt: expect.stringMatching(/Z$/), message: expect.stringMatching(/\S/) },
      });
      for (const way of Object.values(ways(service))) {
        const answer = await way();
        expectProblem(answer, 423, 'reveals_frozen');
        expect(answer.text).not.toContain(SECRET);
      }
      for (const way of Object.values(ways(beside))) {
        await expect.poll(() => outcomeOf(way), SOON).toBe('reveals_frozen');
      }
      for (const on of [service, beside]) {
        for (const way of Object.values(other.ways(on))) expect(await outcomeOf(way)).toBe(SECRET);
      }
      expect((await unfreeze(org)).body).toEqual({
        clerkOrgId: org,
        frozenAt: null,
        message: expect.stringMatching(/\S/),
      });
      for (const way of Object.values(ways(service))) expect(await outcomeOf(way)).toBe(SECRET);
      for (const way of Object.values(ways(beside))) await expect.poll(() => outcomeOf(way), SOON).toBe(SECRET);
    }
  });

  it('200: no provider is asked about a stored secret, and none of it is recorded as revealed', async () => {
    const { org, ways } = await holder();
    const revealed = async () => (await eventsOf({ clerkOrgId: org, action: 'provider_key.revealed' })).length;
    const [asked, before] = [checker.asked.length, await revealed()];
    await freeze(org);
    const check = await post('/internal/keys/openai/check', { clerkOrgId: org });
    expectProblem(check, 423, 'reveals_frozen');
    for (const way of Object.values(ways(service))) expect((await way()).status).toBe(423);
    expect(checker.asked).toHaveLength(asked);
    expect(await revealed()).toBe(before);
  });

  it('200: what shows no stored secret goes on', async () => {
    const { org, key } = await holder();
    await freeze(org);
    expect((await service.asHolder(key, '/validate')).status).toBe(200);
    const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
    expect(body.keys).toEqual([expect.objectContaining({ maskedKey: 'sk-n••••6789' })]);
    const wanted = { clerkOrgId: org, provider: 'openai', apiKey: 'sk-not-a-real-secret-9876543210', check: true };
    expect((await post('/internal/keys', wanted)).body).toMatchObject({ version: 2 });
    expect((await post('/internal/keys/openai/rollback', { clerkOrgId: org, version: 1 })).status).toBe(200);
    expect((await service.asHolder(key, '/validate/keys/anthropic')).body.code).toBe('provider_key_not_found');
    expect((await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`)).body.deleted).toBe(true);
  });

  it('200: an answer that showed a key is not given again; one that showed none is', async () => {
    const org = newOrganization();
    const issue = () => keyed(service, 'issue', '/internal/api-keys', { clerkOrgId: org });
    const { body } = await issue();
    const rotate = () => keyed(service, 'rotate', `/internal/api-keys/${body.id}/rotate`, { clerkOrgId: org });
    const save = () =>
      keyed(service, 'save', '/internal/keys', { clerkOrgId: org, provider: 'openai', apiKey: SECRET });
    const rotated = await rotate();
    const saved = await save();
    await freeze(org);
    for (const again of [issue, rotate]) {
      const answer = await again();
      expectProblem(answer, 423, 'reveals_frozen');
      expect(answer.text).not.toMatch(/ks_(live|test)_/);
    }
    expect((await save()).body).toEqual(saved.body);
    expect(await eventsOf({ clerkOrgId: org, action: 'answer.repeated' })).toHaveLength(1);
    await unfreeze(org);
    expect((await issue()).body).toEqual(body);
    expect((await rotate()).body).toEqual(rotated.body);
  });

  it('200: the answer that showed a service key is not given again while all are frozen', async () => {
    const issue = () => keyed(service, 'service-key', '/internal/service-keys', { name: 'frozen-meanwhile' });
    const { body } = await issue();
    await freezeAll();
    expectProblem(await issue(), 423, 'reveals_frozen');
    await unfreezeAll();
    expect((await issue()).body).toEqual(body);
  });

  it('200: again says since when, is on record once, and holds for what an unknown organisation gets later', async () => {
    const org = newOrganization();
    const { body } = await freeze(org);
    for (const answer of await Promise.all([freeze(org), freeze(org), freeze(org)])) expect(answer.body).toEqual(body);
    await service.saveProviderKey(org, 'openai', SECRET);
    const { key } = await service.issueKey(org);
    expect((await service.asHolder(key, '/validate/keys/openai')).status).toBe(423);
    await unfreeze(org);
    await unfreeze(org);
    expect((await service.asHolder(key, '/validate/keys/openai')).status).toBe(200);
    const events = (await eventsOf({ clerkOrgId: org })).filter(({ target }) => target.type === 'organization');
    expect(events.map(({ action }) => action)).toEqual(['reveals.unfrozen', 'reveals.frozen']);
  });

  it('200: many at once leave one state, and a record for each change', async () => {
    const org = newOrganization();
    await service.saveProviderKey(org, 'openai', SECRET);
    const turns = Array.from({ length: 20 }, (_, turn) => (turn % 2 === 0 ? freeze(org) : unfreeze(org)));
    for (const { status } of await Promise.all(turns)) expect(status).toBe(200);
    const events = (await eventsOf({ clerkOrgId: org })).filter(({ target }) => target.type === 'organization');
    events.reverse().forEach(({ action }, at) => {
      expect(action).toBe(at % 2 === 0 ? 'reveals.frozen' : 'reveals.unfrozen');
    });
    const { status } = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    expect(status).toBe(events.length % 2 === 0 ? 200 : 423);
  });

  it('200: unfreezes nothing where nothing is known, and makes it no more known', async () => {
    const org = newOrganization();
    expect((await unfreeze(org)).body.frozenAt).toBeNull();
    expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
  });

  it.each(['freeze', 'unfreeze'])('400: %s takes no fields, and no organisation that is none', async (verb) => {
    expectInvalid(await post(`/internal/organizations/org_a/${verb}-reveals`, { reason: 'odd' }), '/reason');
    expectInvalid(await post(`/internal/organizations/org%20a/${verb}-reveals`), '/clerkOrgId');
    expectInvalid(await post(`/internal/${verb}-reveals`, { reason: 'odd' }), '/reason');
  });

  it('409: neither is for an organisation that has ended', async () => {
    const org = newOrganization();
    await service.issueKey(org);
    await service.asService('DELETE', `/internal/organizations/${org}`);
    expectProblem(await freeze(org), 409, 'organization_deleted');
    expectProblem(await unfreeze(org), 409, 'organization_deleted');
  });
});

describe('POST /internal/freeze-reveals and /internal/unfreeze-reveals', () => {
  it("200: every secret of everybody stays inside, the platform's too, and who was frozen alone stays so", async () => {
    const [one, other] = [await holder(), await holder()];
    const platforms = () => service.asService('GET', '/internal/platform-keys/exa/decrypt');
    expect(await outcomeOf(platforms)).toBe(SECRET);
    await freeze(one.org);
    expect((await freezeAll()).body).toEqual({
      frozenAt: expect.stringMatching(/Z$/),
      message: expect.stringMatching(/\S/),
    });
    for (const { ways } of [one, other]) {
      for (const way of Object.values(ways(service))) expect(await outcomeOf(way)).toBe('reveals_frozen');
      for (const way of Object.values(ways(beside))) {
        await expect.poll(() => outcomeOf(way), SOON).toBe('reveals_frozen');
      }
    }
    expectProblem(await platforms(), 423, 'reveals_frozen');
    expectProblem(await post('/internal/platform-keys/exa/check'), 423, 'reveals_frozen');
    expect((await service.asHolder(other.key, '/validate')).status).toBe(200);
    await unfreezeAll();
    expect(await outcomeOf(platforms)).toBe(SECRET);
    for (const way of Object.values(other.ways(service))) expect(await outcomeOf(way)).toBe(SECRET);
    for (const way of Object.values(one.ways(service))) expect(await outcomeOf(way)).toBe('reveals_frozen');
    const [last, first] = (await eventsOf({})).filter(({ action }) => action.startsWith('reveals.'));
    expect([first, last]).toEqual([
      expect.objectContaining({
        action: 'reveals.frozen',
        clerkOrgId: null,
        target: { type: 'organization', id: null },
      }),
      expect.objectContaining({ action: 'reveals.unfrozen', clerkOrgId: null }),
    ]);
  });

  it('200: no validation has to be asked of the database again for it', async () => {
    const { key } = await holder();
    await service.asHolder(key, '/validate');
    await freezeAll();
    await service.sql('alter table key_service.api_keys rename to api_keys_away');
    try {
      expect((await service.asHolder(key, '/validate')).status).toBe(200);
    } finally {
      await service.sql('alter table key_service.api_keys_away rename to api_keys');
      await unfreezeAll();
    }
  });

  it('is as good by hand', async () => {
    const { ways } = await holder();
    const everywhere = '00000000-0000-0000-0000-000000000000';
    await service.sql('insert into key_service.reveal_freezes (scope) values ($1)', [everywhere]);
    for (const on of [service, beside]) {
      await expect.poll(() => outcomeOf(ways(on).holder), SOON).toBe('reveals_frozen');
    }
    await service.sql('truncate key_service.reveal_freezes');
    for (const on of [service, beside]) await expect.poll(() => outcomeOf(ways(on).holder), SOON).toBe(SECRET);
  });
});

describe('A reveal that is under way', () => {
  /** A reveal at a replica that waits for its record, until it is let go. */
  async function underWay(on: TestService) {
    const { org, ways } = await holder();
    const held = service.sql(
      `begin; select 1 from key_service.audit_chains c join key_service.organizations o on o.id = c.chain
       where o.clerk_org_id = '${org}' for update of c; select pg_sleep(0.6); commit`,
    );
    const waiting = () =>
      service.sql(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
    await expect
      .poll(
        () =>
          service.sql(`select 1 from pg_stat_activity where query like '%for update of c%' and wait_event = 'PgSleep'`),
        SOON,
      )
      .toHaveLength(1);
    const reveal = ways(on).holder();
    await expect.poll(waiting, SOON).not.toHaveLength(0);
    return { org, reveal, held };
  }

  it('stays inside when reveals are frozen at its replica, and the audit says that it failed', async () => {
    const { org, reveal, held } = await underWay(service);
    try {
      expect((await freezeAll()).status).toBe(200);
      await held;
      const answer = await reveal;
      expectProblem(answer, 423, 'reveals_frozen');
      expect(answer.text).not.toContain(SECRET);
    } finally {
      await unfreezeAll();
    }
    await expect
      .poll(async () => (await eventsOf({ clerkOrgId: org, action: 'provider_key.reveal_failed' }))[0]?.details)
      .toMatchObject({ code: 'reveals_frozen' });
  });

  it('stays inside when they are frozen at another', async () => {
    const { reveal, held } = await underWay(beside);
    try {
      await freezeAll();
      await held;
      expectProblem(await reveal, 423, 'reveals_frozen');
    } finally {
      await unfreezeAll();
    }
  });
});
