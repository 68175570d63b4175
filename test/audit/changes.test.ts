import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Auditor, auditorOf, listEvents } from '../support/audit.ts';
import { type Answer, newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
let auditor: Auditor;
beforeAll(async () => {
  service = await startService();
  auditor = auditorOf(service);
});
afterAll(async () => {
  await auditor.close();
  await service.stop();
});

const eventsOf = async (clerkOrgId: string) => (await listEvents(service, { clerkOrgId, limit: '100' })).events;
const actionsOf = async (clerkOrgId: string) => (await eventsOf(clerkOrgId)).map(({ action }) => action).reverse();

async function rowOf(org: string) {
  const [row] = await service.sql<{ id: string }>(
    `select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
     where o.clerk_org_id = $1`,
    [org],
  );
  return row?.id;
}

describe('A change', () => {
  it('is recorded with who, what, where, when and by which request, and never with a secret', async () => {
    const org = newOrganization();
    const began = Date.now();
    const { status, body } = await service.request('POST', '/internal/api-keys', {
      headers: { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': 'issue.1' },
      body: { clerkOrgId: org, name: 'CI', scopes: ['read:orders'], expiresAt: '2090-01-01T00:00:00+02:00' },
    });
    expect(status).toBe(201);
    const [event, ...others] = await eventsOf(org);
    expect(others).toEqual([]);
    expect(event).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      clerkOrgId: org,
      sequence: 1,
      occurredAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/),
      actor: { kind: 'service', name: 'root' },
      action: 'api_key.issued',
      target: { type: 'api-key', id: body.id },
      provider: null,
      requestId: 'issue.1',
      address: expect.stringContaining('127.0.0.1'),
      details: { environment: 'live', scopes: ['read:orders'], expiresAt: '2089-12-31T22:00:00.000Z' },
    });
    const at = Date.parse(event?.occurredAt ?? '');
    expect(at).toBeGreaterThanOrEqual(began);
    expect(at).toBeLessThanOrEqual(Date.now());
  });

  it('of every kind is recorded, once, in the order in which they happened', async () => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-2');
    await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
    await service.asService('DELETE', `/internal/api-keys/${id.toUpperCase()}?clerkOrgId=${org}`);
    const provider = { type: 'provider-key', id: await rowOf(org) };
    const events = (await eventsOf(org)).reverse();
    expect(
      events.map(({ sequence, action, target, provider, details }) => [sequence, action, target, provider, details]),
    ).toEqual([
      [1, 'api_key.issued', { type: 'api-key', id }, null, expect.objectContaining({ scopes: null, expiresAt: null })],
      [2, 'provider_key.saved', provider, 'openai', { version: 1, status: 'unchecked' }],
      [3, 'provider_key.saved', provider, 'openai', { version: 2, status: 'unchecked' }],
      [4, 'provider_key.removed', provider, 'openai', { version: 2 }],
      [5, 'api_key.revoked', { type: 'api-key', id }, null, {}],
    ]);
    expect(await auditor.faults()).toEqual([]);
  });

  it('of a service key belongs to no organisation, and is made by the root caller', async () => {
    const settings = { name: 'billing', permissions: ['provider-keys:reveal'], revealProviders: ['openai'] };
    const { id } = await newServiceCaller(service, { ...settings, expiresAt: '2090-01-01T00:00:00Z' });
    for (let time = 0; time < 2; time += 1) {
      await service.asService('DELETE', `/internal/service-keys/${id.toUpperCase()}`);
    }
    const { events } = await listEvents(service, { actor: 'service:root', limit: '2' });
    const shared = { clerkOrgId: null, target: { type: 'service-key', id }, provider: null };
    expect(events).toEqual([
      expect.objectContaining({ ...shared, action: 'service_key.revoked', details: { name: 'billing' } }),
      expect.objectContaining({
        ...shared,
        action: 'service_key.issued',
        details: { ...settings, expiresAt: '2090-01-01T00:00:00.000Z' },
      }),
    ]);
    expect(await auditor.faults()).toEqual([]);
  });

  it('that ends an organisation leaves a receipt of what was destroyed, once', async () => {
    const org = newOrganization();
    await service.issueKey(org);
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
    const end = () => service.asService('DELETE', `/internal/organizations/${org}`);
    const { body } = await end();
    expect((await end()).body).toEqual(body);
    const [destroyed, ended, ...before] = await eventsOf(org);
    const shared = { clerkOrgId: org, actor: { kind: 'service', name: 'root' } };
    expect(ended).toMatchObject({ ...shared, action: 'organization.ended', details: {} });
    expect(destroyed).toMatchObject({
      ...shared,
      action: 'organization.destroyed',
      target: { type: 'organization' },
      details: { endedAt: body.endedAt, destroyedAt: body.destroyedAt, ...body.destroyed },
    });
    expect(destroyed?.details).toMatchObject({
      apiKeys: 1,
      providerKeys: 1,
      secrets: 1,
      dataKeys: [expect.any(String)],
    });
    expect(before.map(({ action }) => action)).toEqual(['provider_key.saved', 'api_key.issued']);
    expect(await auditor.faults()).toEqual([]);
  });

  it('that changes nothing is not recorded', async () => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
    const before = await actionsOf(org);
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
    await service.asService('DELETE', `/internal/keys/anthropic?clerkOrgId=${org}`);
    await service.asService('DELETE', `/internal/api-keys/00000000-0000-7000-8000-000000000000?clerkOrgId=${org}`);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${newOrganization()}`);
    await service.asService('POST', '/internal/api-keys', { clerkOrgId: org, environment: 'none' });
    await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
    expect(await actionsOf(org)).toEqual(before);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expect(await actionsOf(org)).toEqual([...before, 'api_key.revoked']);
  });
});

describe('A change that cannot be recorded', () => {
  /** Refuses every event, as a full disk does. */
  async function withoutRoom(work: () => Promise<void>) {
    await service.sql(`create function key_service.disk_full() returns trigger language plpgsql as
      $$ begin raise exception 'no space left' using errcode = '53100'; end $$`);
    await service.sql(`create trigger disk_full before insert on key_service.audit_events
      execute function key_service.disk_full()`);
    try {
      await work();
    } finally {
      await service.sql('drop function key_service.disk_full cascade');
    }
  }

  it('has not happened', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-1');
    const named = await newServiceCaller(service, { name: 'recorded', permissions: ['provider-keys:read'] });
    const before = await actionsOf(org);
    await withoutRoom(async () => {
      const answers = [
        await service.asService('POST', '/internal/api-keys', { clerkOrgId: org }),
        await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`),
        await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-2'),
        await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`),
        await service.asService('POST', '/internal/service-keys', { name: 'unrecorded' }),
        await service.asService('DELETE', `/internal/service-keys/${named.id}`),
      ];
      for (const answer of answers) expectProblem(answer, 503, 'database_unavailable');
    });
    expect(await actionsOf(org)).toEqual(before);
    expect((await service.asHolder(key, '/validate')).status).toBe(200);
    expect((await service.asHolder(key, '/validate/keys/openai')).body.key).toBe('sk-not-a-real-key-1');
    const { body } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
    expect(body.keys).toHaveLength(1);
    expect((await named.as('GET', `/internal/keys?clerkOrgId=${org}`)).status).toBe(200);
    const services = await service.asService('GET', '/internal/service-keys');
    expect(services.body.keys.map(({ name }: { name: string }) => name)).not.toContain('unrecorded');
    expect(await auditor.faults()).toEqual([]);
  });

  it('to a chain whose head was deleted is 503 audit_unavailable, and says so in the log', async () => {
    const org = newOrganization();
    const other = newOrganization();
    await service.issueKey(org);
    const chain = `(select id from key_service.organizations where clerk_org_id = $1)`;
    const [head] = await service.sql<{ chain: string; sequence: string; mac: Buffer }>(
      `delete from key_service.audit_chains where chain = ${chain} returning *`,
      [org],
    );
    expectProblem(await service.asService('POST', '/internal/api-keys', { clerkOrgId: org }), 503, 'audit_unavailable');
    expect((await service.issueKey(other)).id).toBeDefined();
    expect(service.logLines.find(({ chain }) => chain === head?.chain)).toMatchObject({ level: 'error' });
    await service.sql('insert into key_service.audit_chains values ($1, $2, $3)', [
      head?.chain,
      head?.sequence,
      head?.mac,
    ]);
    await service.issueKey(org);
    expect(await auditor.faults()).toEqual([]);
  });
});

/** Asks again while the answer is 503: on a busy machine some of many that wait for one lock are given up, and happen not. */
async function untilDone(ask: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask();
    if (answer.status !== 503 || attempt === 20) return answer;
  }
}

describe('50 changes at once', () => {
  it('of one organisation make one chain without gaps', async () => {
    const org = newOrganization();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        untilDone(() =>
          n % 2 === 0
            ? service.asService('POST', '/internal/api-keys', { clerkOrgId: org })
            : service.saveProviderKey(org, 'openai', `sk-not-a-real-key-${n}`),
        ),
      ),
    );
    expect(answers.map(({ status }) => status).filter((status) => status >= 400)).toEqual([]);
    const events = await eventsOf(org);
    const sequences = events.map(({ sequence }) => sequence).toSorted((a, b) => a - b);
    expect(sequences).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(await auditor.faults()).toEqual([]);
  });

  it('of one organisation, revealed all the while, never meet a deadlock', async () => {
    const orgs = [newOrganization(), newOrganization(), newOrganization()];
    const holders = await Promise.all(
      orgs.map(async (org) => {
        await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-0');
        return { org, ...(await service.issueKey(org)) };
      }),
    );
    const before = await service.sql<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    const answers = await Promise.all(
      Array.from({ length: 150 }, (_, n) => {
        const { org, key } = holders[n % 3] as (typeof holders)[number];
        return untilDone(() => {
          if (n % 5 === 0) return service.saveProviderKey(org, 'openai', `sk-not-a-real-key-${n}`);
          if (n % 5 === 1) return service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
          if (n % 5 === 2) return service.asService('POST', '/internal/api-keys', { clerkOrgId: org });
          return service.asHolder(key, '/validate/keys/openai');
        });
      }),
    );
    expect(answers.map(({ status }) => status).filter((status) => status >= 400)).toEqual([]);
    expect(await auditor.faults()).toEqual([]);
    expect(await service.sql('select deadlocks from pg_stat_database where datname = current_database()')).toEqual(
      before,
    );
  });

  it('that wait for a head that somebody holds are 503 in time, and happen not', async () => {
    const org = newOrganization();
    await service.issueKey(org);
    const held = service.sql(
      `begin; select * from key_service.audit_chains where chain = (select id from key_service.organizations
       where clerk_org_id = '${org}') for update; select pg_sleep(2.5); commit`,
    );
    await expect
      .poll(() =>
        service.sql(
          "select 1 from pg_stat_activity where datname = current_database() and query like '%pg_sleep(2.5)%' and pid <> pg_backend_pid()",
        ),
      )
      .toHaveLength(1);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => service.asService('POST', '/internal/api-keys', { clerkOrgId: org })),
    );
    for (const answer of answers) expectProblem(answer, 503, 'database_unavailable');
    // Other organisations are not concerned.
    expect((await service.issueKey(newOrganization())).id).toBeDefined();
    await held;
    expect(await eventsOf(org)).toHaveLength(1);
    const { body } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
    expect(body.keys).toHaveLength(1);
  });
});
