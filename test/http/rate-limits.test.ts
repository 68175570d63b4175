import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { type Answer, newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0' } });
});
afterAll(() => service.stop());

const limitsOf = ({ status, headers }: Answer) => ({
  status,
  policy: headers.get('ratelimit-policy'),
  left: headers.get('ratelimit'),
});
const MINUTE = { limit: 3, windowSeconds: 60 };
const validate = (key: string, path = '/validate') => service.asHolder(key, path);
const statuses = async (key: string, times: number) => {
  const found = [];
  for (let n = 0; n < times; n += 1) found.push((await validate(key)).status);
  return found;
};
const patch = (id: string, clerkOrgId: string, change: Record<string, unknown>) =>
  service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId, ...change });
const setDefault = (clerkOrgId: string, rateLimit: unknown) =>
  service.asService('PUT', `/internal/organizations/${clerkOrgId}/rate-limit`, { rateLimit });

describe('A key with a rate limit', () => {
  it('is told with every answer how much is left of it, and then 429 with when to come back', async () => {
    const { key } = await service.issueKey(newOrganization(), { rateLimit: MINUTE });
    const policy = '"default";q=3;w=60';
    for (const left of [2, 1, 0]) {
      const told = limitsOf(await validate(key));
      expect(told).toMatchObject({ status: 200, policy });
      expect(told.left).toMatch(new RegExp(`^"default";r=${left};t=(59|60|61|62)$`));
    }
    const refused = await validate(key);
    expectProblem(refused, 429, 'rate_limited');
    const { policy: told, left } = limitsOf(refused);
    const [, seconds] = /^"default";r=0;t=(\d+)$/.exec(left ?? '') ?? [];
    expect({ told, retryAfter: refused.headers.get('retry-after') }).toEqual({ told: policy, retryAfter: seconds });
    expect(Number(seconds)).toBeGreaterThan(57);
    expect(Number(seconds)).toBeLessThanOrEqual(62);
    expect(refused.body.error).toBe(
      `This API key is limited to 3 requests in any 60 seconds. Try again in ${seconds} s.`,
    );
  });

  it('is good again when its window has gone on, and not before', async () => {
    const { key } = await service.issueKey(newOrganization(), { rateLimit: { limit: 2, windowSeconds: 1 } });
    const began = performance.now();
    expect(await statuses(key, 2)).toEqual([200, 200]);
    await expect.poll(async () => (await validate(key)).status, { interval: 20, timeout: 5_000 }).toBe(200);
    expect(performance.now() - began).toBeGreaterThan(1_000);
  });

  it('is not limited by what is refused for it, or for a scope, or does not fit', async () => {
    const { key } = await service.issueKey(newOrganization(), { rateLimit: MINUTE, scopes: ['read:orders'] });
    expect((await validate(key, '/validate?scope=write:orders')).status).toBe(403);
    expect((await validate(key, '/validate?scope=NO')).status).toBe(400);
    expect((await validate(key, '/validate/keys/openai')).status).toBe(403);
    expect(await statuses(key, 5)).toEqual([200, 200, 200, 429, 429]);
    const refused = await validate(key, '/validate?scope=write:orders');
    expect({ ...limitsOf(refused), code: refused.body.code }).toEqual({
      status: 403,
      policy: null,
      left: null,
      code: 'insufficient_scope',
    });
  });

  it('counts reveals with validations, also of what is not there', async () => {
    const org = newOrganization();
    const { key } = await service.issueKey(org, { rateLimit: MINUTE });
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-secret-0001');
    const revealed = await validate(key, '/validate/keys/openai');
    expect(limitsOf(revealed)).toMatchObject({ status: 200, left: expect.stringContaining(';r=2;') });
    const missing = await validate(key, '/validate/keys/mistral');
    expect(limitsOf(missing)).toMatchObject({ status: 404, left: expect.stringContaining(';r=1;') });
    expect((await service.request('HEAD', '/validate', { headers: { Authorization: `Bearer ${key}` } })).status).toBe(
      200,
    );
    expectProblem(await validate(key, '/validate/keys/openai'), 429, 'rate_limited');
    const reveals = await listEvents(service, { clerkOrgId: org, action: 'provider_key.revealed' });
    expect(reveals.events).toHaveLength(1);
  });

  it('admits as many of a hundred at once as its limit says', async () => {
    const { key } = await service.issueKey(newOrganization(), { rateLimit: { limit: 40, windowSeconds: 600 } });
    const answers = await Promise.all(Array.from({ length: 100 }, () => validate(key)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(40);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(60);
  });

  it('is counted by the metrics when it is refused, with no key in any label', async () => {
    const { key } = await service.issueKey(newOrganization(), { rateLimit: { limit: 1, windowSeconds: 60 } });
    const refusals = async () => {
      const text = await (await fetch(`http://127.0.0.1:${service.metricsPort}/metrics`)).text();
      return Number(/^key_service_validations_total\{outcome="rate_limited"\} (\d+)$/m.exec(text)?.[1] ?? 0);
    };
    const before = await refusals();
    expect(await statuses(key, 3)).toEqual([200, 429, 429]);
    await expect.poll(refusals).toBe(before + 2);
  });

  it('is still told that it was revoked, and not that it is limited', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org, { rateLimit: { limit: 1, windowSeconds: 60 } });
    expect(await statuses(key, 2)).toEqual([200, 429]);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    const refused = await validate(key);
    expectProblem(refused, 401, 'api_key_revoked');
    expect(limitsOf(refused)).toMatchObject({ policy: null, left: null });
  });
});

describe('A key without one', () => {
  it('is told of none, and is not limited', async () => {
    const { key } = await service.issueKey(newOrganization());
    const answers = await Promise.all(Array.from({ length: 50 }, () => validate(key)));
    expect(new Set(answers.map((answer) => JSON.stringify(limitsOf(answer))))).toEqual(
      new Set([JSON.stringify({ status: 200, policy: null, left: null })]),
    );
  });
});

describe('The setting', () => {
  it('is in the item, in the list, and on record', async () => {
    const org = newOrganization();
    const { id, ...issued } = await service.issueKey(org, { rateLimit: MINUTE });
    const { body: item } = await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    const { body: list } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
    expect([issued, item, list.keys[0]].map(({ rateLimit }) => rateLimit)).toEqual([MINUTE, MINUTE, MINUTE]);
    const { body: changed } = await patch(id, org, { rateLimit: { limit: 9, windowSeconds: 1 } });
    expect(changed).toMatchObject({ rateLimit: { limit: 9, windowSeconds: 1 }, revision: 2 });
    const again = await patch(id, org, { rateLimit: { windowSeconds: 1, limit: 9 } });
    expect(again.body.revision).toBe(2);
    expect((await patch(id, org, { name: 'kept' })).body.rateLimit).toEqual({ limit: 9, windowSeconds: 1 });
    expect((await patch(id, org, { rateLimit: null })).body.rateLimit).toBeNull();
    const { events } = await listEvents(service, { clerkOrgId: org });
    expect(events.map(({ action, details }) => [action, details['rateLimit']])).toEqual([
      ['api_key.updated', null],
      ['api_key.updated', undefined],
      ['api_key.updated', '9 in 1 s'],
      ['api_key.issued', '3 in 60 s'],
    ]);
  });

  it.each<[what: string, rateLimit: unknown, pointer: string]>([
    ['nothing', {}, '/rateLimit/limit'],
    ['no window', { limit: 1 }, '/rateLimit/windowSeconds'],
    ['none at all', { limit: 0, windowSeconds: 60 }, '/rateLimit/limit'],
    ['half a request', { limit: 1.5, windowSeconds: 60 }, '/rateLimit/limit'],
    ['more than a billion', { limit: 1_000_000_001, windowSeconds: 60 }, '/rateLimit/limit'],
    ['no time', { limit: 1, windowSeconds: 0 }, '/rateLimit/windowSeconds'],
    ['more than a day', { limit: 1, windowSeconds: 86_401 }, '/rateLimit/windowSeconds'],
    ['text', { limit: '1', windowSeconds: 60 }, '/rateLimit/limit'],
    ['what is not known', { limit: 1, windowSeconds: 60, burst: 1 }, '/rateLimit/burst'],
    ['a number', 100, '/rateLimit'],
  ])('that has %s is 400 wherever it is set, and points at it', async (_what, rateLimit, pointer) => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    const answers = [
      await service.asService('POST', '/internal/api-keys', { clerkOrgId: org, rateLimit }),
      await patch(id, org, { rateLimit }),
      await setDefault(org, rateLimit),
    ];
    for (const answer of answers) {
      expectProblem(answer, 400, 'invalid_request');
      expect(answer.body.errors[0].pointer).toBe(pointer);
    }
  });

  it('that nobody could count by is refused by the database, whoever writes it', async () => {
    const { id } = await service.issueKey(newOrganization());
    for (const wrong of ['{}', '5', '{"limit":0,"windowSeconds":1}', '{"limit":1,"windowSeconds":"x"}', 'null']) {
      const written = service.sql('update key_service.api_keys set rate_limit = $1::jsonb where id = $2', [wrong, id]);
      await expect(written).rejects.toThrow(/rate_limit_fits|invalid input syntax/);
    }
  });

  it('goes at once, and on with what was counted: up for what is new, down for what was', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org, { rateLimit: MINUTE });
    expect(await statuses(key, 4)).toEqual([200, 200, 200, 429]);
    await patch(id, org, { rateLimit: { limit: 5, windowSeconds: 60 } });
    expect(await statuses(key, 3)).toEqual([200, 200, 429]);
    await patch(id, org, { rateLimit: { limit: 2, windowSeconds: 60 } });
    const lowered = await validate(key);
    expect(limitsOf(lowered)).toMatchObject({ status: 429, policy: '"default";q=2;w=60' });
    await patch(id, org, { rateLimit: { limit: 2, windowSeconds: 30 } });
    expect(await statuses(key, 3)).toEqual([200, 200, 429]);
    await patch(id, org, { rateLimit: null });
    expect(await statuses(key, 3)).toEqual([200, 200, 200]);
  });

  it('is not undone by what else changes about the key or its organisation', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org, { rateLimit: MINUTE });
    expect(await statuses(key, 3)).toEqual([200, 200, 200]);
    await patch(id, org, { name: 'another', metadata: { a: 1 } });
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-secret-0001');
    expect(await statuses(key, 1)).toEqual([429]);
  });

  it('is the new key’s too when it is rotated, which is counted by itself', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org, { rateLimit: MINUTE });
    expect(await statuses(key, 4)).toEqual([200, 200, 200, 429]);
    const grace = { clerkOrgId: org, gracePeriodSeconds: 600 };
    const { body } = await service.asService('POST', `/internal/api-keys/${id}/rotate`, grace);
    expect(body.rateLimit).toEqual(MINUTE);
    expect(await statuses(body.key, 4)).toEqual([200, 200, 200, 429]);
    expect(await statuses(key, 1)).toEqual([429]);
  });
});

describe('/internal/organizations/:clerkOrgId/rate-limit', () => {
  const get = async (clerkOrgId: string) =>
    (await service.asService('GET', `/internal/organizations/${clerkOrgId}/rate-limit`)).body;

  it('is that of each key that has none of its own, at once, each for itself', async () => {
    const org = newOrganization();
    const { key: first } = await service.issueKey(org);
    const { key: second } = await service.issueKey(org);
    const { key: own } = await service.issueKey(org, { rateLimit: { limit: 5, windowSeconds: 60 } });
    const { key: stranger } = await service.issueKey(newOrganization());
    expect(await statuses(first, 3)).toEqual([200, 200, 200]);
    const { status, body } = await setDefault(org, { limit: 2, windowSeconds: 60 });
    expect({ status, body }).toEqual({
      status: 200,
      body: { clerkOrgId: org, rateLimit: { limit: 2, windowSeconds: 60 } },
    });
    expect(await statuses(first, 3)).toEqual([200, 200, 429]);
    expect(await statuses(second, 3)).toEqual([200, 200, 429]);
    expect(await statuses(own, 6)).toEqual([200, 200, 200, 200, 200, 429]);
    expect(await statuses(stranger, 3)).toEqual([200, 200, 200]);
    const { key: later } = await service.issueKey(org);
    expect(await statuses(later, 3)).toEqual([200, 200, 429]);
    await setDefault(org, null);
    expect(await statuses(first, 2)).toEqual([200, 200]);
    expect(await get(org)).toEqual({ clerkOrgId: org, rateLimit: null });
  });

  it('is not shown as the key’s own, which is null', async () => {
    const org = newOrganization();
    await setDefault(org, MINUTE);
    const { id } = await service.issueKey(org);
    const { body } = await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expect(body.rateLimit).toBeNull();
  });

  it('is there for an organisation that was not known, and a read makes none', async () => {
    const org = newOrganization();
    expect(await get(org)).toEqual({ clerkOrgId: org, rateLimit: null });
    const rows = () => service.sql('select id from key_service.organizations where clerk_org_id = $1', [org]);
    expect(await rows()).toHaveLength(0);
    await setDefault(org, MINUTE);
    expect(await get(org)).toEqual({ clerkOrgId: org, rateLimit: MINUTE });
    const { key } = await service.issueKey(org);
    expect(await statuses(key, 4)).toEqual([200, 200, 200, 429]);
  });

  it('is on record once for each change', async () => {
    const org = newOrganization();
    for (const rateLimit of [null, MINUTE, { windowSeconds: 60, limit: 3 }, null, null])
      await setDefault(org, rateLimit);
    const { events } = await listEvents(service, { clerkOrgId: org, action: 'organization.rate_limit_set' });
    expect(events.map(({ details }) => details)).toEqual([{ rateLimit: null }, { rateLimit: '3 in 60 s' }]);
  });

  it('is 409 for an organisation that has ended', async () => {
    const org = newOrganization();
    await service.issueKey(org);
    await service.asService('DELETE', `/internal/organizations/${org}`);
    expectProblem(await setDefault(org, MINUTE), 409, 'organization_deleted');
  });
});

describe('With a usage limit beside it', () => {
  it('a request that is limited uses none up, and one that is used up still tells what is left of the limit', async () => {
    const org = newOrganization();
    const settings = { rateLimit: MINUTE, remainingUses: 5 };
    const { id, key } = await service.issueKey(org, settings);
    expect(await statuses(key, 5)).toEqual([200, 200, 200, 429, 429]);
    const { body } = await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expect(body.remainingUses).toBe(2);
    await patch(id, org, { rateLimit: { limit: 100, windowSeconds: 60 } });
    expect(await statuses(key, 2)).toEqual([200, 200]);
    const usedUp = await validate(key);
    expectProblem(usedUp, 403, 'usage_exceeded');
    expect(limitsOf(usedUp)).toMatchObject({
      policy: '"default";q=100;w=60',
      left: expect.stringMatching(/^"default";r=94;/),
    });
  });
});
