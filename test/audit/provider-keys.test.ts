import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Auditor, auditorOf, listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret-0123456789';

const providers = new ScriptedChecker();
let service: TestService;
let auditor: Auditor;
beforeAll(async () => {
  service = await startService({ providerChecker: providers });
  auditor = auditorOf(service);
});
afterEach(async () => {
  providers.outcome = 'valid';
  providers.asked.length = 0;
  await service.sql('drop function if exists key_service.disk_full cascade');
  expect(await auditor.faults()).toEqual([]);
});
afterAll(async () => {
  await auditor.close();
  await service.stop();
});

async function organization(secrets = [SECRET]): Promise<string> {
  const org = newOrganization();
  for (const secret of secrets) await service.saveProviderKey(org, 'openai', secret);
  return org;
}
const post = (org: string, path: string, body: Record<string, unknown> = {}) =>
  service.asService('POST', `/internal/keys/openai/${path}`, { clerkOrgId: org, ...body });
const setSource = (org: string, source: string) =>
  service.asService('PUT', '/internal/keys/openai/source', { clerkOrgId: org, source });
const decrypt = (org: string) => service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
/** Oldest first, without those before. */
const eventsOf = async (clerkOrgId: string, before = 0) =>
  (await listEvents(service, { clerkOrgId, limit: '100' })).events
    .reverse()
    .slice(before)
    .map(({ action, details }) => [action, details]);

/** Refuses every event, as a full disk does. */
async function fillDisk(): Promise<void> {
  await service.sql(`create function key_service.disk_full() returns trigger language plpgsql as
    $$ begin raise exception 'no space left' using errcode = '53100'; end $$`);
  await service.sql(`create trigger disk_full before insert on key_service.audit_events
    execute function key_service.disk_full()`);
}

describe('A check', () => {
  it('is recorded as a reveal to the provider, and so is what it said', async () => {
    const org = await organization();
    providers.outcome = 'rejected';
    expect((await post(org, 'check')).status).toBe(200);
    expect(await eventsOf(org, 1)).toEqual([
      ['provider_key.revealed', { version: 1, source: 'own', to: 'provider' }],
      ['provider_key.checked', { version: 1, status: 'rejected' }],
    ]);
  });

  it('that cannot be recorded asks nobody', async () => {
    const org = await organization();
    await fillDisk();
    const answer = await post(org, 'check');
    expectProblem(answer, 503, 'audit_unavailable');
    expect(providers.asked).toEqual([]);
  });
});

describe('A check on a save', () => {
  const saveChecked = (clerkOrgId: string, apiKey = SECRET) =>
    service.asService('POST', '/internal/keys', { clerkOrgId, provider: 'openai', apiKey, check: true });
  const savePlatforms = (provider: string) =>
    service.asService('POST', '/internal/platform-keys', { provider, apiKey: SECRET, check: true });
  const toProvider = (source: string) => ['provider_key.revealed', { version: null, source, to: 'provider' }];

  it('is recorded as a reveal, whatever the provider says, before the record of the save or of what it said', async () => {
    const org = newOrganization();
    expect((await saveChecked(org)).status).toBe(201);
    providers.outcome = 'unreachable';
    expect((await saveChecked(org)).status).toBe(200);
    expect((await saveChecked(org, `${SECRET}-2`)).status).toBe(200);
    providers.outcome = 'rejected';
    expect((await saveChecked(org, `${SECRET}-3`)).status).toBe(422);
    expect(await eventsOf(org)).toEqual([
      toProvider('own'),
      ['provider_key.saved', { version: 1, status: 'valid' }],
      toProvider('own'),
      ['provider_key.checked', { version: 1, status: 'unreachable' }],
      toProvider('own'),
      ['provider_key.saved', { version: 2, status: 'unreachable' }],
      toProvider('own'),
    ]);
  });

  it('names the row of the key where there is one, and the caller; also of an organisation that has nothing else', async () => {
    const org = newOrganization();
    providers.outcome = 'rejected';
    expect((await saveChecked(org)).status).toBe(422);
    const { events } = await listEvents(service, { clerkOrgId: org });
    expect(events).toMatchObject([
      { actor: { kind: 'service', name: 'root' }, target: { type: 'provider-key', id: null }, provider: 'openai' },
    ]);
    await service.saveProviderKey(org, 'openai', `${SECRET}-2`);
    expect((await saveChecked(org)).status).toBe(422);
    const [again, saved] = (await listEvents(service, { clerkOrgId: org })).events;
    expect(again?.target).toEqual({ type: 'provider-key', id: expect.any(String) });
    expect(again?.target).toEqual(saved?.target);
  });

  it("of the platform's own key is recorded too", async () => {
    for (const outcome of ['rejected', 'valid'] as const) {
      providers.outcome = outcome;
      await savePlatforms('groq');
    }
    const { events } = await listEvents(service, { limit: '100' });
    const groq = events.filter(({ provider }) => provider === 'groq').reverse();
    expect(groq.map(({ clerkOrgId, action, details }) => [clerkOrgId, [action, details]])).toEqual([
      [null, toProvider('platform')],
      [null, toProvider('platform')],
      [null, ['provider_key.saved', { version: 1, status: 'valid' }]],
    ]);
  });

  it('that cannot be recorded asks nobody, and nothing is saved', async () => {
    const org = newOrganization();
    await fillDisk();
    expectProblem(await saveChecked(org), 503, 'audit_unavailable');
    expectProblem(await savePlatforms('mistral'), 503, 'audit_unavailable');
    expect(providers.asked).toEqual([]);
    await service.sql('drop function key_service.disk_full cascade');
    expect((await service.asService('GET', `/internal/keys?clerkOrgId=${org}`)).body.keys).toEqual([]);
  });

  it('of an organisation that has ended asks nobody', async () => {
    const org = await organization();
    await service.asService('DELETE', `/internal/organizations/${org}`);
    expectProblem(await saveChecked(org), 409, 'organization_deleted');
    expect(providers.asked).toEqual([]);
  });
});

describe('A change of a provider key is recorded, once:', () => {
  it('a rollback', async () => {
    const org = await organization([SECRET, `${SECRET}-2`]);
    for (let time = 0; time < 2; time += 1) expect((await post(org, 'rollback', { version: 1 })).status).toBe(200);
    expect(await eventsOf(org, 2)).toEqual([
      ['provider_key.rolled_back', { version: 3, status: 'unchecked', from: 1 }],
    ]);
  });

  it('a report', async () => {
    const org = await organization();
    const report = { version: 1, outcome: 'rate_limited', source: 'own' };
    for (let time = 0; time < 3; time += 1) expect((await post(org, 'report', report)).status).toBe(200);
    expect(await eventsOf(org, 1)).toEqual([['provider_key.reported', { version: 1, status: 'rate_limited' }]]);
  });

  it('a source', async () => {
    const org = await organization();
    for (const source of ['own', 'platform', 'platform', 'own', 'own']) {
      expect((await setSource(org, source)).status).toBe(200);
    }
    expect(await eventsOf(org, 1)).toEqual([
      ['provider_key.source_set', { source: 'platform' }],
      ['provider_key.source_set', { source: 'own' }],
    ]);
  });

  it('and does not happen when it cannot be recorded', async () => {
    const org = await organization([SECRET, `${SECRET}-2`]);
    await fillDisk();
    const answers = [
      await post(org, 'rollback', { version: 1 }),
      await post(org, 'report', { version: 2, outcome: 'rejected', source: 'own' }),
      await setSource(org, 'platform'),
    ];
    for (const answer of answers) expectProblem(answer, 503, 'database_unavailable');
    await service.sql('drop function key_service.disk_full cascade');
    const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
    expect(body.keys).toMatchObject([{ version: 2, status: 'unchecked' }]);
    expect((await decrypt(org)).body).toMatchObject({ key: `${SECRET}-2`, source: 'own' });
  });
});

describe("The platform's own key", () => {
  it('that is handed out for an organisation is in the record of that organisation', async () => {
    const apiKey = `${SECRET}-of-the-platform`;
    await service.asService('POST', '/internal/platform-keys', { provider: 'openai', apiKey });
    const org = await organization([]);
    await setSource(org, 'platform');
    expect((await decrypt(org)).body).toMatchObject({ key: apiKey, source: 'platform' });
    expect(await eventsOf(org, 1)).toEqual([
      ['provider_key.revealed', { version: 1, source: 'platform', to: 'caller' }],
    ]);
  });

  it('belongs to no organisation otherwise', async () => {
    const apiKey = `${SECRET}-of-the-platform`;
    await service.asService('POST', '/internal/platform-keys', { provider: 'exa', apiKey });
    expect((await service.asService('GET', '/internal/platform-keys/exa/decrypt')).body.key).toBe(apiKey);
    await service.asService('POST', '/internal/platform-keys/exa/check');
    await service.asService('DELETE', '/internal/platform-keys/exa');
    const { events } = await listEvents(service, { limit: '100' });
    const exa = events.filter(({ provider }) => provider === 'exa').reverse();
    expect(exa.map(({ clerkOrgId, action, details }) => [clerkOrgId, action, details['to']])).toEqual([
      [null, 'provider_key.saved', undefined],
      [null, 'provider_key.revealed', 'caller'],
      [null, 'provider_key.revealed', 'provider'],
      [null, 'provider_key.checked', undefined],
      [null, 'provider_key.removed', undefined],
    ]);
  });
});
