import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { keyed, newIdempotencyKey } from '../support/keyed-request.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

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

const session = (clerkOrgId: string, replica: TestService = service) =>
  replica.asService('POST', '/internal/api-keys/session', { clerkOrgId });
const listed = async (org: string) =>
  (await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}&includeRevoked=true`)).body.keys;
const post = (path: string, body: Record<string, unknown>) => service.asService('POST', path, body);
const actionsOf = async (org: string) =>
  (await listEvents(service, { clerkOrgId: org })).events.map(({ action }) => action).reverse();

describe('POST /internal/api-keys/session', () => {
  it('201: makes the Default key of an organisation, of which a copy is kept; 200: answers it again', async () => {
    const org = newOrganization();
    const made = await session(org);
    expect({ status: made.status, body: made.body }).toEqual({
      status: 201,
      body: {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        key: expect.stringMatching(/^ks_live_[0-9A-Za-z]{49}$/),
        keyPrefix: made.body.key.slice(0, 12),
        name: 'Default',
      },
    });
    for (const replica of [service, other, service]) {
      const found = await session(org, replica);
      expect({ status: found.status, body: found.body }).toEqual({ status: 200, body: made.body });
      expect(found.headers.get('cache-control')).toBe('no-store');
    }
    const { body } = await other.asHolder(made.body.key, '/validate');
    expect(body).toMatchObject({ clerkOrgId: org, apiKey: { id: made.body.id, name: 'Default', scopes: null } });
    expect(await listed(org)).toMatchObject([
      { id: made.body.id, name: 'Default', recoverable: true, expiresAt: null },
    ]);
    const recoveries = Array.from({ length: 3 }, () => 'api_key.recovered');
    expect(await actionsOf(org)).toEqual(['api_key.issued', ...recoveries]);
  });

  it('makes one, however many ask for it at once, on two replicas', async () => {
    for (let round = 0; round < 5; round += 1) {
      const org = newOrganization();
      const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => session(org, n % 2 ? other : service)));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(11).fill(200), 201]);
      expect(new Set(answers.map(({ body }) => body.key)).size).toBe(1);
      expect(await listed(org)).toHaveLength(1);
    }
  });

  it('is not a key that somebody has called Default, recoverable or not, and is told from it by what it is, not by its name', async () => {
    const org = newOrganization();
    const theirs = await service.issueKey(org, { name: 'Default', recoverable: true });
    const { status, body } = await session(org);
    expect(status).toBe(201);
    expect(body.id).not.toBe(theirs.id);
    await service.asService('PATCH', `/internal/api-keys/${body.id}`, { clerkOrgId: org, name: 'Playground' });
    expect((await session(org)).body).toEqual({ ...body, name: 'Playground' });
  });

  it('makes another one once it was revoked, in whatever way, and again only one', async () => {
    const org = newOrganization();
    const ends: ((key: { id: string; key: string }) => Promise<unknown>)[] = [
      ({ id }) => service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`),
      ({ key }) => post('/internal/leak-reports', { strings: [key], source: 'test' }),
      () => post(`/internal/organizations/${org}/revoke-api-keys`, {}),
      ({ id }) => service.sql('update key_service.api_keys set revoked_at = now() where id = $1', [id]),
    ];
    const seen = new Set<string>();
    for (const end of ends) {
      const { status, body } = await session(org);
      expect({ status, isNew: !seen.has(body.key) }).toEqual({ status: 201, isNew: true });
      seen.add(body.key);
      await end(body);
    }
    const answers = await Promise.all([session(org), session(org, other), session(org), session(org, other)]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 201]);
    expect(await listed(org)).toHaveLength(5);
  });

  it('makes another one once it has expired, and that stays the one though the first is given more time', async () => {
    const org = newOrganization();
    const { body: first } = await session(org);
    const path = `/internal/api-keys/${first.id}`;
    const expiresAt = new Date(Date.now() + 300).toISOString();
    await service.asService('PATCH', path, { clerkOrgId: org, expiresAt });
    await new Promise((resolve) => setTimeout(resolve, 350));
    const second = await session(org);
    expect(second.status).toBe(201);
    await service.asService('PATCH', path, { clerkOrgId: org, expiresAt: null });
    expect((await session(org)).body).toEqual(second.body);
    expect(await listed(org)).toMatchObject([
      { recoverable: true },
      { id: first.id, recoverable: false, status: 'active' },
    ]);
  });

  it('answers the key that took its place when it was rotated', async () => {
    const org = newOrganization();
    const { body: first } = await session(org);
    const rotated = await post(`/internal/api-keys/${first.id}/rotate`, { clerkOrgId: org, gracePeriodSeconds: 60 });
    const { status, body } = await session(org, other);
    expect({ status, id: body.id, key: body.key }).toEqual({ status: 200, id: rotated.body.id, key: rotated.body.key });
    const answers = await Promise.all([
      post(`/internal/api-keys/${body.id}/rotate`, { clerkOrgId: org }),
      ...Array.from({ length: 6 }, (_, n) => session(org, n % 2 ? other : service)),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual([201, ...Array(6).fill(200)]);
    expect((await session(org)).body.id).toBe(answers[0]?.body.id);
  });

  it('400: needs an organisation, and takes nothing else', async () => {
    expectInvalid(await post('/internal/api-keys/session', {}), '/clerkOrgId');
    expectInvalid(await post('/internal/api-keys/session', { clerkOrgId: 'org_a', name: 'Mine' }), '/name');
  });

  it('403: asks for the permission to recover keys', async () => {
    const org = newOrganization();
    const writer = await newServiceCaller(service, { permissions: ['api-keys:read', 'api-keys:write'] });
    expectProblem(
      await writer.as('POST', '/internal/api-keys/session', { clerkOrgId: org }),
      403,
      'service_key_forbidden',
    );
    const recoverer = await newServiceCaller(service, { permissions: ['api-keys:recover'] });
    expect((await recoverer.as('POST', '/internal/api-keys/session', { clerkOrgId: org })).status).toBe(201);
  });

  it('409: makes none in the place of one that somebody has disabled', async () => {
    const org = newOrganization();
    const { body } = await session(org);
    const path = `/internal/api-keys/${body.id}`;
    await service.asService('PATCH', path, { clerkOrgId: org, enabled: false });
    expectProblem(await session(org), 409, 'api_key_not_recoverable');
    expect(await listed(org)).toHaveLength(1);
    await service.asService('PATCH', path, { clerkOrgId: org, enabled: true });
    expect((await session(org)).body).toEqual(body);
  });

  it('keeps the answer that made a key for its Idempotency-Key, and none that only showed it', async () => {
    const org = newOrganization();
    const [making, showing] = [newIdempotencyKey(), newIdempotencyKey()];
    const ask = (key: string) => keyed(service, key, '/internal/api-keys/session', { clerkOrgId: org });
    const made = await ask(making);
    const shown = await ask(showing);
    expect([made.status, shown.status]).toEqual([201, 200]);
    const path = `/internal/api-keys/${made.body.id}`;
    await service.asService('PATCH', path, { clerkOrgId: org, enabled: false });
    expectProblem(await ask(showing), 409, 'api_key_not_recoverable');
    expect(await ask(making)).toMatchObject({ status: 201, body: made.body });
  });

  it('409: has none for an organisation that has ended', async () => {
    const org = newOrganization();
    await session(org);
    await service.asService('DELETE', `/internal/organizations/${org}`);
    expectProblem(await session(org), 409, 'organization_deleted');
    expect(
      await service.sql(
        'select 1 from key_service.api_key_copies where default_of = (select id from key_service.organizations where clerk_org_id = $1)',
        [org],
      ),
    ).toEqual([]);
  });

  it('423: hands out none that there is while reveals are frozen', async () => {
    const org = newOrganization();
    const { body } = await session(org);
    await post(`/internal/organizations/${org}/freeze-reveals`, {});
    expectProblem(await session(org), 423, 'reveals_frozen');
    await post(`/internal/organizations/${org}/unfreeze-reveals`, {});
    expect((await session(org)).body).toEqual(body);
  });

  it('500: says so when its copy does not open, and makes another one once it is revoked', async () => {
    const org = newOrganization();
    const { body } = await session(org);
    await service.sql("update key_service.api_key_copies set sealed = sealed || '\\x00'::bytea where api_key_id = $1", [
      body.id,
    ]);
    expectProblem(await session(org), 500, 'api_key_unreadable');
    await service.asService('DELETE', `/internal/api-keys/${body.id}?clerkOrgId=${org}`);
    expect((await session(org)).status).toBe(201);
  });
});
