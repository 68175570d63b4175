import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Auditor, auditorOf, holdEvents, listEvents } from '../support/audit.ts';
import { changesArrived } from '../support/changes-arrived.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

const SECRET = 'sk-not-a-real-secret-0123456789';

let service: TestService;
let auditor: Auditor;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0', CACHE_LEASE_MS: '60000' } });
  auditor = auditorOf(service);
});
afterAll(async () => {
  await auditor.close();
  await service.stop();
});

async function holder() {
  const org = newOrganization();
  const issued = await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', SECRET);
  return { org, ...issued };
}
const revealsOf = async (clerkOrgId: string) =>
  (await listEvents(service, { clerkOrgId, limit: '100' })).events.filter(({ action }) => action.includes('reveal'));
const decrypt = (org: string, headers: Record<string, string> = {}) =>
  service.request('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`, {
    headers: { 'X-Service-Key': SERVICE_KEY, ...headers },
  });

describe('A reveal', () => {
  it('to a service, and to the holder of an API key, is recorded before it is answered', async () => {
    const { org, key, id } = await holder();
    expect((await decrypt(org, { 'X-Request-Id': 'reveal-1' })).body.key).toBe(SECRET);
    const headers = { Authorization: `Bearer ${key}`, 'X-Request-Id': 'reveal-2' };
    expect((await service.request('GET', '/validate/keys/openai', { headers })).body.key).toBe(SECRET);
    const reveals = await revealsOf(org);
    expect(reveals.map(({ actor, requestId }) => ({ actor, requestId }))).toEqual([
      { actor: { kind: 'api-key', name: id }, requestId: 'reveal-2' },
      { actor: { kind: 'service', name: 'root' }, requestId: 'reveal-1' },
    ]);
    for (const reveal of reveals) {
      expect(reveal).toMatchObject({
        action: 'provider_key.revealed',
        provider: 'openai',
        target: { type: 'provider-key' },
        details: { version: 1, source: 'own', to: 'caller' },
        address: expect.stringContaining('127.0.0.1'),
      });
    }
    expect(await auditor.faults()).toEqual([]);
  });

  it('to a service with a key of its own is recorded by its name', async () => {
    const { org } = await holder();
    const { as } = await newServiceCaller(service, { name: 'dialler', permissions: ['provider-keys:reveal'] });
    expect((await as('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`)).body.key).toBe(SECRET);
    expect((await revealsOf(org)).map(({ actor }) => actor)).toEqual([{ kind: 'service', name: 'dialler' }]);
  });

  it('that finds nothing, or is refused, is not recorded', async () => {
    const { org, key } = await holder();
    await service.asService('GET', `/internal/keys/anthropic/decrypt?clerkOrgId=${org}`);
    await service.asHolder(key, '/validate/keys/anthropic');
    await service.asHolder(`${key}x`, '/validate/keys/openai');
    await service.request('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    await service.request('HEAD', '/validate/keys/openai', { headers: { Authorization: `Bearer ${key}` } });
    const { key: limited } = await service.issueKey(org, { scopes: ['read:orders'] });
    expect((await service.asHolder(limited, '/validate/keys/openai')).status).toBe(403);
    const { as } = await newServiceCaller(service, { permissions: ['provider-keys:reveal'], revealProviders: ['exa'] });
    expect((await as('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`)).status).toBe(403);
    expect(await revealsOf(org)).toEqual([]);
  });

  it('of what does not open is recorded as asked for, and as failed', async () => {
    const { org } = await holder();
    await service.sql(
      `update key_service.provider_key_versions set sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1)
       where provider_key_id in (select k.id from key_service.provider_keys k
         join key_service.organizations o on o.id = k.organization_id where o.clerk_org_id = $1)`,
      [org],
    );
    expectProblem(await decrypt(org), 500, 'provider_key_unreadable');
    await expect
      .poll(async () => (await revealsOf(org)).map(({ action }) => action))
      .toEqual(['provider_key.reveal_failed', 'provider_key.revealed']);
  });

  it('has a line in the log only where it is sampled, for its record is the audit', async () => {
    const quiet = await startService({ beside: service, environment: { LOG_SAMPLE_VALIDATIONS: '0' } });
    const { key, org } = await holder();
    for (let n = 0; n < 3; n += 1) expect((await quiet.asHolder(key, '/validate/keys/openai')).status).toBe(200);
    await quiet.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    await expect.poll(() => quiet.logLines.filter(({ msg }) => msg === 'request')).toHaveLength(1);
    expect(quiet.logLines.find(({ msg }) => msg === 'request')).toMatchObject({
      route: '/internal/keys/:provider/decrypt',
    });
    expect(await revealsOf(org)).toHaveLength(4);
    await quiet.stop();
  });
});

describe('Many reveals at once', () => {
  it('share commits, and each has its event in one chain without gaps', async () => {
    const holders = [await holder(), await holder()];
    await changesArrived(service);
    for (const { key } of holders) await service.asHolder(key, '/validate/keys/openai');
    const commits = async () => (await metricsOf(service)).value('key_service_audit_batch_size_count') ?? 0;
    const written = async () =>
      (await metricsOf(service)).value('key_service_audit_events_total', { outcome: 'written' }) ?? 0;
    const before = { commits: await commits(), written: await written() };
    // While the first waits for the table, the others come.
    const held = await holdEvents(service, 0.5);
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => service.asHolder(holders[n % 2]?.key ?? '', '/validate/keys/openai')),
    );
    expect(new Set(answers.map(({ body }) => body.key))).toEqual(new Set([SECRET]));
    expect((await written()) - before.written).toBe(200);
    await held.released;
    expect((await commits()) - before.commits).toBeLessThan(100);
    for (const { org } of holders) {
      const events = await revealsOf(org);
      expect(events.filter(({ action }) => action === 'provider_key.revealed').length).toBe(100);
    }
    expect(await auditor.faults()).toEqual([]);
  });

  it('of which one belongs to a chain whose head was deleted keep none of the others', async () => {
    const [good, bad] = [await holder(), await holder()];
    const where = `chain = (select id from key_service.organizations where clerk_org_id = $1)`;
    const [head] = await service.sql<Record<string, unknown>>(
      `delete from key_service.audit_chains where ${where} returning *`,
      [bad.org],
    );
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => service.asHolder((n % 2 === 0 ? good : bad).key, '/validate/keys/openai')),
    );
    for (const [n, answer] of answers.entries()) {
      if (n % 2 === 0) expect(answer.body.key).toBe(SECRET);
      else {
        expectProblem(answer, 503, 'audit_unavailable');
        expect(answer.headers.get('retry-after')).toBe('1');
        expect(answer.text).not.toContain(SECRET);
      }
    }
    await service.sql('insert into key_service.audit_chains values ($1, $2, $3)', Object.values(head ?? {}));
    expect(await auditor.faults()).toEqual([]);
  });
});

describe('Two replicas', () => {
  it('that change and reveal at once add to one chain, without gaps', async () => {
    const other = await startService({ beside: service });
    const { org, key } = await holder();
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, n) => {
        const replica = n % 2 === 0 ? service : other;
        if (n % 8 < 6) return replica.asHolder(key, '/validate/keys/openai');
        return replica.asService('POST', '/internal/api-keys', { clerkOrgId: org });
      }),
    );
    expect(answers.filter(({ status }) => status >= 400)).toEqual([]);
    const { events } = await listEvents(other, { clerkOrgId: org, limit: '100' });
    expect(events.map(({ sequence }) => sequence).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 82 }, (_, n) => n + 1),
    );
    expect(await auditor.faults()).toEqual([]);
    await other.stop();
  });
});
