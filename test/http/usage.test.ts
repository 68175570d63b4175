import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem, wholeAnswer } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { usageOfKey, usageOfOrganization } from '../support/usage.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let service: TestService;
let other: TestService;
beforeAll(async () => {
  service = await startService();
  other = await startService({ beside: service });
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});

const validate = async (key: string, path = '/validate', by = service) => (await by.asHolder(key, path)).status;
const outcomesOfKey = async (org: string, id: string) => (await usageOfKey(service, org, id)).body.outcomes;
const outcomesOf = async (org: string) => (await usageOfOrganization(service, org)).body.outcomes;
/** Puts counts into the database as a replica would have, long ago. */
const count = (subject: string, hour: string, outcome: string, count: number) =>
  service.sql('insert into key_service.usage_counts values ($1, $2, $3, $4)', [subject, hour, outcome, count]);

describe('the usage of an API key', () => {
  it('counts what it was good for and what it was refused for, on both ways in', async () => {
    const org = newOrganization();
    await service.saveProviderKey(org, 'openai', 'not-a-real-secret');
    const { id, key } = await service.issueKey(org, { scopes: ['read:orders'] });
    expect(await validate(key)).toBe(200);
    expect(await validate(key, '/validate?scope=read:orders')).toBe(200);
    expect(await validate(key, '/validate?scope=write:orders')).toBe(403);
    expect(await validate(key, '/validate/keys/openai')).toBe(403);
    const free = await service.issueKey(org);
    expect(await validate(free.key, '/validate/keys/openai')).toBe(200);
    // The key was good, though there is nothing to reveal.
    expect(await validate(free.key, '/validate/keys/groq')).toBe(404);

    await expect.poll(() => outcomesOfKey(org, id)).toEqual({ valid: 2, insufficient_scope: 2 });
    await expect.poll(() => outcomesOfKey(org, free.id)).toEqual({ valid: 2 });
    await expect.poll(() => outcomesOf(org)).toEqual({ valid: 4, insufficient_scope: 2 });
  });

  it('counts each refusal by its code, and keys that are not known nowhere', async () => {
    const org = newOrganization();
    const disabled = await service.issueKey(org);
    await service.asService('PATCH', `/internal/api-keys/${disabled.id}`, { clerkOrgId: org, enabled: false });
    const expired = await service.issueKey(org, { expiresAt: new Date(Date.now() + 300).toISOString() });
    const revoked = await service.issueKey(org);
    await service.asService('DELETE', `/internal/api-keys/${revoked.id}?clerkOrgId=${org}`);
    const elsewhere = await service.issueKey(org, { ipAllowList: ['192.0.2.0/24'] });
    expect(await validate(elsewhere.key)).toBe(403);
    await new Promise((resolve) => setTimeout(resolve, 320));
    for (const { key } of [disabled, expired, revoked, revoked]) expect(await validate(key)).toBe(401);
    expect(await validate('ks_live_nobody')).toBe(401);
    await expect
      .poll(() => outcomesOf(org))
      .toEqual({ api_key_disabled: 1, api_key_expired: 1, api_key_revoked: 2, ip_not_allowed: 1 });
    expect(await outcomesOfKey(org, revoked.id)).toEqual({ api_key_revoked: 2 });
    const { body } = await service.asService('GET', `/internal/api-keys/${revoked.id}?clerkOrgId=${org}`);
    expect(body.lastUsedAt).toBeNull();
  });

  it('counts uses of a key that has only so many, and those that it had no more', async () => {
    const org = newOrganization();
    await service.saveProviderKey(org, 'openai', 'not-a-real-secret');
    const { id, key } = await service.issueKey(org, { remainingUses: 2 });
    expect(await validate(key)).toBe(200);
    expect(await validate(key, '/validate/keys/openai')).toBe(200);
    expect(await validate(key)).toBe(403);
    expect(await validate(key, '/validate/keys/openai')).toBe(403);
    await expect.poll(() => outcomesOfKey(org, id)).toEqual({ valid: 2, usage_exceeded: 2 });
  });

  it('counts each key of a batch, and what is over a rate limit', async () => {
    const org = newOrganization();
    const limited = await service.issueKey(org, {
      rateLimit: { limit: 1, windowSeconds: 600 },
      scopes: ['read:orders'],
    });
    const free = await service.issueKey(org);
    const keys = [free.key, limited.key, 'ks_live_nobody', free.key];
    const batch = (scopes: string[]) => service.asService('POST', '/internal/api-keys/validate', { keys, scopes });
    expect((await batch(['write:orders'])).status).toBe(200);
    expect((await batch(['read:orders'])).status).toBe(200);
    expect(await validate(limited.key)).toBe(429);
    await expect.poll(() => outcomesOfKey(org, free.id)).toEqual({ valid: 4 });
    const outcomes = { valid: 1, insufficient_scope: 1, rate_limited: 1 };
    await expect.poll(() => outcomesOfKey(org, limited.id)).toEqual(outcomes);
  });

  it('does not count a key that tells of itself, or gives itself up', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    expect(await validate(key, '/validate/self')).toBe(200);
    const headers = { Authorization: `Bearer ${key}` };
    expect((await service.request('POST', '/validate/self/revoke', { headers })).status).toBe(200);
    expect(await validate(key)).toBe(401);
    await expect.poll(() => outcomesOfKey(org, id)).toEqual({ api_key_revoked: 1 });
  });

  it('counts the keys of a suspended organisation, and goes on when it has ended', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    await service.asService('POST', `/internal/organizations/${org}/suspend`);
    expect(await validate(key)).toBe(403);
    await service.asService('POST', `/internal/organizations/${org}/resume`);
    expect(await validate(key)).toBe(200);
    expect((await service.asService('DELETE', `/internal/organizations/${org}`)).status).toBe(200);
    expect(await validate(key)).toBe(401);
    const outcomes = { valid: 1, organization_suspended: 1, api_key_revoked: 1 };
    await expect.poll(() => outcomesOfKey(org, id)).toEqual(outcomes);
    expect(await outcomesOf(org)).toEqual(outcomes);
  });

  it('adds up over replicas that write the same keys at once', async () => {
    const org = newOrganization();
    const keys = await Promise.all(Array.from({ length: 20 }, () => service.issueKey(org)));
    for (let round = 0; round < 10; round += 1) {
      const turns = [...keys, ...keys.toReversed()].map(({ key }, index) =>
        validate(key, '/validate', index % 2 === 0 ? service : other),
      );
      expect(new Set(await Promise.all(turns))).toEqual(new Set([200]));
    }
    await expect.poll(() => outcomesOf(org)).toEqual({ valid: 400 });
    for (const { id } of keys) expect(await outcomesOfKey(org, id)).toEqual({ valid: 20 });
    for (const { logLines } of [service, other]) {
      expect(logLines.filter(({ msg }) => String(msg).startsWith('usage of API keys could not'))).toEqual([]);
    }
  });

  it("stays with its organisation when the key's row is deleted with SQL", async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    expect(await validate(key)).toBe(200);
    await expect.poll(() => outcomesOfKey(org, id)).toEqual({ valid: 1 });
    await service.sql('delete from key_service.api_key_uses where api_key_id = $1', [id]);
    await service.sql('delete from key_service.api_keys where id = $1', [id]);
    expect((await usageOfKey(service, org, id)).status).toBe(404);
    expect(await outcomesOf(org)).toEqual({ valid: 1 });
  });
});

describe('the answer', () => {
  it('has the totals, and the buckets that are not empty in their order', async () => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    const { id: neighbour } = await service.issueKey(org);
    await count(id, '2030-01-01T22:00:00Z', 'valid', 5);
    await count(id, '2030-01-01T23:00:00Z', 'valid', 2);
    await count(id, '2030-01-01T23:00:00Z', 'api_key_revoked', 1);
    await count(id, '2030-01-02T00:00:00Z', 'valid', 3_000_000_000);
    await count(neighbour, '2030-01-01T23:00:00Z', 'valid', 100);
    const asked = { since: '2030-01-01T00:00:00+01:00', until: '2030-01-02T00:30:00Z' };
    expect((await usageOfKey(service, org, id, { ...asked, since: '2030-01-01T22:59:59Z' })).body).toEqual({
      bucket: 'hour',
      since: '2030-01-01T22:00:00.000Z',
      until: '2030-01-02T01:00:00.000Z',
      total: 3_000_000_008,
      outcomes: { api_key_revoked: 1, valid: 3_000_000_007 },
      buckets: [
        { start: '2030-01-01T22:00:00.000Z', total: 5, outcomes: { valid: 5 } },
        { start: '2030-01-01T23:00:00.000Z', total: 3, outcomes: { valid: 2, api_key_revoked: 1 } },
        { start: '2030-01-02T00:00:00.000Z', total: 3_000_000_000, outcomes: { valid: 3_000_000_000 } },
      ],
    });
    expect((await usageOfKey(service, org, id, { ...asked, bucket: 'day' })).body).toEqual({
      bucket: 'day',
      since: '2029-12-31T00:00:00.000Z',
      until: '2030-01-03T00:00:00.000Z',
      total: 3_000_000_008,
      outcomes: { api_key_revoked: 1, valid: 3_000_000_007 },
      buckets: [
        { start: '2030-01-01T00:00:00.000Z', total: 8, outcomes: { valid: 7, api_key_revoked: 1 } },
        { start: '2030-01-02T00:00:00.000Z', total: 3_000_000_000, outcomes: { valid: 3_000_000_000 } },
      ],
    });
    // The end is left out.
    const { body } = await usageOfKey(service, org, id, { ...asked, until: '2030-01-01T22:00:00Z' });
    expect(body).toMatchObject({ total: 0, outcomes: {}, buckets: [] });
  });

  it('reaches over the last 24 hours or 30 days, and is empty for a key that was never used', async () => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    for (const [bucket, ms] of [['hour', 24 * HOUR_MS] as const, ['day', 30 * DAY_MS] as const]) {
      const before = Date.now();
      const { status, body } = await usageOfKey(service, org, id, { bucket });
      expect(status).toBe(200);
      expect(body).toMatchObject({ bucket, total: 0, outcomes: {}, buckets: [] });
      expect(Date.parse(body.until) - Date.parse(body.since)).toBe(ms);
      expect(Date.parse(body.until)).toBeGreaterThanOrEqual(before);
    }
  });

  it('is one 404 for an unknown key, another organisation, and an id that is none', async () => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    const headers = { 'X-Service-Key': String(service.environment['KEY_SERVICE_API_KEY']), 'X-Request-Id': 'one' };
    const ask = (clerkOrgId: string, ofId: string) =>
      service.request('GET', `/internal/api-keys/${ofId}/usage?clerkOrgId=${clerkOrgId}`, { headers });
    const unknown = await ask(org, '01890000-0000-7000-8000-000000000000');
    expectProblem(unknown, 404, 'api_key_not_found');
    expect(wholeAnswer(await ask(newOrganization(), id))).toEqual(wholeAnswer(unknown));
    expect(wholeAnswer(await ask(org, 'not-a-uuid'))).toEqual(wholeAnswer(unknown));
    expect((await ask(org, id)).status).toBe(200);
  });

  it('is 200 and empty for an organisation that is not known, which does not become known', async () => {
    const org = newOrganization();
    const { status, body } = await usageOfOrganization(service, org);
    expect({ status, body }).toMatchObject({ status: 200, body: { total: 0, outcomes: {}, buckets: [] } });
    expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
  });

  it.each([
    [{ bucket: 'week' }, '/bucket'],
    [{ since: 'yesterday' }, '/since'],
    [{ until: '2030-01-01' }, '/until'],
    [{ since: '2030-01-02T00:00:00Z', until: '2030-01-01T00:00:00Z' }, '/until'],
    [{ since: '2030-01-01T00:00:00Z', until: '2030-01-01T00:00:00Z' }, '/until'],
    [{ since: '9000-01-01T00:00:00Z' }, '/since'],
    [{ until: '9999-12-31T23:00:00.001Z' }, '/until'],
    [{ until: '9999-12-31T00:00:00.001Z', bucket: 'day' }, '/until'],
    [{ until: '0001-01-01T00:00:00Z' }, '/until'],
    [{ since: '2030-01-01T00:00:00Z', until: '2030-02-01T00:00:00.001Z' }, '/since'],
    [{ since: '2030-01-01T00:00:00Z', until: '2031-02-05T00:00:00.001Z', bucket: 'day' }, '/since'],
  ])('refuses %o', async (asked: Record<string, string>, pointer) => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    expectInvalid(await usageOfKey(service, org, id, asked), pointer);
    expectInvalid(await usageOfOrganization(service, org, asked), pointer);
  });

  it('says how long a range may be', async () => {
    const asked = { since: '2030-01-01T00:00:00Z', until: '2030-02-01T00:00:00.001Z' };
    const { body } = await usageOfOrganization(service, newOrganization(), asked);
    expect(body.error).toBe('since must be at most 31 days before until where bucket is hour.');
  });

  it.each([
    [{ until: '0001-01-01T00:30:00Z' }, ['0001-01-01T00:00:00.000Z', '0001-01-01T01:00:00.000Z']],
    [{ until: '9999-12-31T23:00:00Z' }, ['9999-12-30T23:00:00.000Z', '9999-12-31T23:00:00.000Z']],
  ])('reaches to the ends of the years that there are: %o', async (asked: Record<string, string>, reach) => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    for (const { status, body } of [
      await usageOfKey(service, org, id, asked),
      await usageOfOrganization(service, org, asked),
    ]) {
      expect(status).toBe(200);
      expect([body.since, body.until]).toEqual(reach);
    }
  });

  it('needs an organisation', async () => {
    const { id } = await service.issueKey(newOrganization());
    expectInvalid(await service.asService('GET', `/internal/api-keys/${id}/usage`), '/clerkOrgId');
  });
});

describe('at the full hour', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('counts what was before it and what was after it apart', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    const hour = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS;
    vi.useFakeTimers({ toFake: ['Date'] });
    for (const atMs of [hour - 2, hour - 1, hour, hour + 1, hour + 2]) {
      vi.setSystemTime(atMs);
      expect(await validate(key)).toBe(200);
    }
    vi.useRealTimers();
    const asked = { until: new Date(hour + 1).toISOString() };
    await expect.poll(async () => (await usageOfKey(service, org, id, asked)).body.total).toBe(5);
    expect((await usageOfKey(service, org, id, asked)).body.buckets).toEqual([
      { start: new Date(hour - HOUR_MS).toISOString(), total: 2, outcomes: { valid: 2 } },
      { start: new Date(hour).toISOString(), total: 3, outcomes: { valid: 3 } },
    ]);
  });
});

describe('counts that are too old', () => {
  it('are removed by the janitor, with writers that wrote nothing since', async () => {
    const swept = await startService({ environment: { USAGE_RETENTION_DAYS: '10', JANITOR_MS: '50' } });
    try {
      const org = newOrganization();
      const { id, key } = await swept.issueKey(org);
      await swept.sql(
        `insert into key_service.usage_counts
         select $1, date_trunc('hour', now() - make_interval(hours => hours)), 'valid', 1
         from generate_series(1, 1200) as hours`,
        [id],
      );
      await swept.sql(
        `insert into key_service.usage_writers
         values (gen_random_uuid(), 1, now() - interval '11 days'), (gen_random_uuid(), 1, now() - interval '9 days')`,
      );
      expect(await validate(key, '/validate', swept)).toBe(200);
      const kept = () =>
        swept.sql<{ counts: number; writers: number }>(
          `select (select count(*)::int from key_service.usage_counts where subject_id = $1 and outcome = 'valid'
             and hour < date_trunc('hour', now())) as counts,
           (select count(*)::int from key_service.usage_writers) as writers`,
          [id],
        );
      await expect.poll(kept, { timeout: 10_000 }).toEqual([{ counts: 239, writers: 2 }]);
    } finally {
      await swept.stop();
    }
  });
});
