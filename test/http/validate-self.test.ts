import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

/** For what the other replica learns from the database. */
const SOON = { timeout: 5_000, interval: 5 };

let service: TestService;
let beside: TestService;
beforeAll(async () => {
  service = await startService({ environment: { CACHE_LEASE_MS: '60000' } });
  beside = await startService({ beside: service, environment: { CACHE_LEASE_MS: '60000' } });
});
afterAll(async () => {
  await beside.stop();
  await service.stop();
});

const self = (key: string) => service.asHolder(key, '/validate/self');
const revoke = (key: string, body?: unknown) =>
  service.request('POST', '/validate/self/revoke', { body, headers: { Authorization: `Bearer ${key}` } });
const codeOf = async (on: TestService, key: string) => {
  const { status, body } = await on.asHolder(key, '/validate');
  return status === 200 ? 'valid' : body.code;
};
const revocationsOf = async (clerkOrgId: string) =>
  (await listEvents(service, { clerkOrgId, action: 'api_key.revoked' })).events;

describe('GET /validate/self', () => {
  it('200: is the item, as a service sees it, without an ETag', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org, { name: 'CI', scopes: [], metadata: { plan: 'gold' } });
    await service.asHolder(key, '/validate');
    const asService = () => service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    await expect.poll(async () => (await asService()).body.lastUsedAt).not.toBeNull();
    const { status, body, headers, text } = await self(key);
    expect({ status, body: { ...body, lastUsedAt: null } }).toEqual({
      status: 200,
      body: { ...(await asService()).body, lastUsedAt: null },
    });
    expect(headers.get('etag')).toBeNull();
    expect(text).not.toContain(key.slice(12, -4));
  });

  it('200: is as the item was changed a moment ago', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    for (let turn = 1; turn <= 3; turn += 1) {
      expect((await self(key)).body.revision).toBe(turn);
      await service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, name: `Turn ${turn}` });
      expect((await self(key)).body.name).toBe(`Turn ${turn}`);
    }
  });

  it('401, 403: like any validation', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    await service.asService('POST', `/internal/organizations/${org}/suspend`);
    expectProblem(await self(key), 403, 'organization_suspended');
    await service.asService('POST', `/internal/organizations/${org}/resume`);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expectProblem(await self(key), 401, 'api_key_revoked');
    expectProblem(await self('not-a-key'), 401, 'api_key_invalid');
    expectProblem(await service.request('GET', '/validate/self'), 401, 'api_key_missing');
  });
});

describe('POST /validate/self/revoke', () => {
  it('200: revokes the key everywhere, for good, and no other', async () => {
    const org = newOrganization();
    const [doomed, kept] = [await service.issueKey(org), await service.issueKey(org)];
    for (const on of [service, beside]) {
      for (const { key } of [doomed, kept]) expect(await codeOf(on, key)).toBe('valid');
    }
    const { status, body } = await revoke(doomed.key);
    expect({ status, body }).toEqual({ status: 200, body: { message: expect.stringMatching(/\S/) } });
    expect(await codeOf(service, doomed.key)).toBe('api_key_revoked');
    await expect.poll(() => codeOf(beside, doomed.key), SOON).toBe('api_key_revoked');
    for (const on of [service, beside]) expect(await codeOf(on, kept.key)).toBe('valid');
  });

  it('200: again too, and is on record once, by the key itself', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    const answers = await Promise.all([revoke(key), revoke(key, {}), revoke(key)]);
    for (const { status } of [...answers, await revoke(key)]) expect(status).toBe(200);
    expect(await revocationsOf(org)).toEqual([
      expect.objectContaining({ actor: { kind: 'api-key', name: id }, target: { type: 'api-key', id } }),
    ]);
  });

  it.each([
    ['is expired', `expires_at = now() - interval '1 second'`],
    ['is disabled', 'enabled = false'],
    ['may do nothing', `scopes = '{}'`],
    ['may be used from nowhere', `ip_allow_list = '{}'`],
  ])('200: also a key that %s', async (_what, change) => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    await service.sql(`update key_service.api_keys set ${change} where id = $1`, [id]);
    // Whether or not it has been seen so.
    await expect.poll(() => codeOf(service, key), SOON).toBeTypeOf('string');
    expect((await revoke(key)).status).toBe(200);
    expect(await codeOf(service, key)).toBe('api_key_revoked');
    expect(await revocationsOf(org)).toHaveLength(1);
  });

  it('200: also a key of an organisation that is suspended, which its holder then has revoked when it resumes', async () => {
    const org = newOrganization();
    const { key } = await service.issueKey(org);
    await service.asService('POST', `/internal/organizations/${org}/suspend`);
    expect((await revoke(key)).status).toBe(200);
    await service.asService('POST', `/internal/organizations/${org}/resume`);
    expect(await codeOf(service, key)).toBe('api_key_revoked');
  });

  it('200: also a key of an organisation that has ended, which changes nothing', async () => {
    const org = newOrganization();
    const { key } = await service.issueKey(org);
    await service.asService('DELETE', `/internal/organizations/${org}`);
    expect((await revoke(key)).status).toBe(200);
    expect(await revocationsOf(org)).toEqual([]);
  });

  it('200: is no use of the key', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    await revoke(key);
    const other = await service.issueKey(org);
    await service.asHolder(other.key, '/validate');
    const lastUsed = async (which: string) =>
      (await service.asService('GET', `/internal/api-keys/${which}?clerkOrgId=${org}`)).body.lastUsedAt;
    await expect.poll(() => lastUsed(other.id)).not.toBeNull();
    expect(await lastUsed(id)).toBeNull();
  });

  it('400: takes no fields', async () => {
    const { key } = await service.issueKey(newOrganization());
    expectInvalid(await revoke(key, { id: 'another' }), '/id');
    expect(await codeOf(service, key)).toBe('valid');
  });

  it('401: knows no key that was never issued, and no service key', async () => {
    const { key } = await service.issueKey(newOrganization());
    const { body } = await service.asService('POST', '/internal/service-keys', { name: 'billing' });
    for (const unknown of [`${key}0`, 'not-a-key', body.key]) {
      expectProblem(await revoke(unknown), 401, 'api_key_invalid');
    }
    expectProblem(await service.request('POST', '/validate/self/revoke'), 401, 'api_key_missing');
    const asService = await service.asService('POST', '/validate/self/revoke');
    expectProblem(asService, 401, 'api_key_missing');
  });
});
