import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditorOf, listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

/** For what the other replica learns from the database. */
const SOON = { timeout: 5_000, interval: 5 };

let service: TestService;
let beside: TestService;
beforeAll(async () => {
  service = await startService();
  beside = await startService({ beside: service });
});
afterAll(async () => {
  await beside.stop();
  await service.stop();
});

const revokeAll = (org: string, body?: unknown) =>
  service.asService('POST', `/internal/organizations/${org}/revoke-api-keys`, body);
const codeOf = async (on: TestService, key: string) => {
  const { status, body } = await on.asHolder(key, '/validate');
  return status === 200 ? 'valid' : body.code;
};
const issueSome = (org: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => service.issueKey(org)));
const eventsOf = async (clerkOrgId: string) =>
  (await listEvents(service, { clerkOrgId, action: 'organization.api_keys_revoked' })).events;
/** Keys that nobody holds, past the service. */
const insertMany = (org: string, count: number) =>
  service.sql(
    `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment)
     select gen_random_uuid(), id, sha256(convert_to(clerk_org_id || n, 'UTF8')), 'ks_live_', '0000', 'live'
     from key_service.organizations, generate_series(1, ${count}) n where clerk_org_id = $1`,
    [org],
  );
const living = async (org: string) => {
  const [row] = await service.sql<{ count: number }>(
    `select count(*)::int as count from key_service.api_keys k join key_service.organizations o on o.id = k.organization_id
     where o.clerk_org_id = $1 and k.revoked_at is null`,
    [org],
  );
  return row?.count;
};

describe('POST /internal/organizations/:clerkOrgId/revoke-api-keys', () => {
  it('200: revokes every key of the organisation, on every replica, and no other', async () => {
    const [org, other] = [newOrganization(), newOrganization()];
    const keys = await issueSome(org, 5);
    const [theirs] = await issueSome(other, 1);
    for (const on of [service, beside]) for (const { key } of keys) expect(await codeOf(on, key)).toBe('valid');
    const { status, body } = await revokeAll(org);
    expect({ status, body }).toEqual({
      status: 200,
      body: { revoked: 5, complete: true, message: expect.stringMatching(/\S/) },
    });
    for (const { key } of keys) expect(await codeOf(service, key)).toBe('api_key_revoked');
    for (const { key } of keys) await expect.poll(() => codeOf(beside, key), SOON).toBe('api_key_revoked');
    for (const on of [service, beside]) expect(await codeOf(on, theirs?.key ?? '')).toBe('valid');
  });

  it('200: revokes those that are switched off, expired or rotated too, and lets new ones be issued', async () => {
    const org = newOrganization();
    const [off, expired, rotated] = await issueSome(org, 3);
    await service.sql('update key_service.api_keys set enabled = false where id = $1', [off?.id]);
    await service.sql('update key_service.api_keys set expires_at = now() where id = $1', [expired?.id]);
    const next = await service.asService('POST', `/internal/api-keys/${rotated?.id}/rotate`, {
      clerkOrgId: org,
      gracePeriodSeconds: 60,
    });
    expect((await revokeAll(org)).body).toMatchObject({ revoked: 4, complete: true });
    for (const key of [off?.key, expired?.key, rotated?.key, next.body.key]) {
      expect(await codeOf(service, key)).toBe('api_key_revoked');
    }
    const { key } = await service.issueKey(org);
    expect(await codeOf(service, key)).toBe('valid');
  });

  it('200: again, or for an organisation that is not known, revokes nothing and leaves no record', async () => {
    const org = newOrganization();
    expect((await revokeAll(org)).body).toMatchObject({ revoked: 0, complete: true });
    expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    await issueSome(org, 2);
    await revokeAll(org);
    expect((await revokeAll(org, {})).body).toMatchObject({ revoked: 0, complete: true });
    expect(await eventsOf(org)).toHaveLength(1);
  });

  it('200: is on record as one, with how many there were, in a chain that holds', async () => {
    const org = newOrganization();
    await issueSome(org, 3);
    await revokeAll(org);
    expect(await eventsOf(org)).toEqual([
      expect.objectContaining({
        actor: { kind: 'service', name: 'root' },
        target: { type: 'organization', id: expect.any(String) },
        details: { apiKeys: 3 },
      }),
    ]);
    const auditor = auditorOf(service);
    try {
      expect(await auditor.faults()).toEqual([]);
    } finally {
      await auditor.close();
    }
  });

  it('200: of very many it says whether there are more, and goes on when it is asked again', async () => {
    const org = newOrganization();
    const { key } = await service.issueKey(org);
    await insertMany(org, 12_000);
    let revoked = 0;
    for (let complete = false; !complete; ) {
      const before = await living(org);
      const began = performance.now();
      const { status, body } = await revokeAll(org);
      expect(status).toBe(200);
      expect(performance.now() - began).toBeLessThan(2_000);
      expect(await living(org)).toBe(Number(before) - body.revoked);
      expect((await living(org)) === 0).toBe(body.complete);
      revoked += body.revoked;
      complete = body.complete;
    }
    expect(revoked).toBe(12_001);
    expect(await codeOf(service, key)).toBe('api_key_revoked');
  }, 60_000);

  it('200: no key survives that takes the place of another at the same time', async () => {
    for (let round = 0; round < 5; round += 1) {
      const org = newOrganization();
      const keys = await issueSome(org, 6);
      const rotations = keys.map(({ id }, index) =>
        (index % 2 === 0 ? service : beside).asService('POST', `/internal/api-keys/${id}/rotate`, {
          clerkOrgId: org,
          gracePeriodSeconds: index < 3 ? 60 : 0,
        }),
      );
      const [, ...answers] = await Promise.all([revokeAll(org), ...rotations]);
      // A rotation came before it, and its new key was revoked, or after it, and there was nothing to rotate.
      expect(await living(org)).toBe(0);
      for (const { status, body } of answers) {
        expect([201, 409]).toContain(status);
        if (status === 201) await expect.poll(() => codeOf(service, body.key), SOON).toBe('api_key_revoked');
      }
    }
  });

  it('400: takes no fields, and no organisation that is none', async () => {
    expectInvalid(await revokeAll('org_a', { clerkOrgId: 'org_a' }), '/clerkOrgId');
    expectInvalid(await revokeAll('org%20a'), '/clerkOrgId');
  });
});
