import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const issue = (body: unknown) => service.asService('POST', '/internal/api-keys', body);

describe('POST /internal/api-keys 400', () => {
  it.each<[what: string, pointer: string, change: Record<string, unknown>]>([
    ['no clerkOrgId', '/clerkOrgId', { clerkOrgId: undefined }],
    ['a clerkOrgId that is null', '/clerkOrgId', { clerkOrgId: null }],
    ['an empty clerkOrgId', '/clerkOrgId', { clerkOrgId: '' }],
    ['a clerkOrgId of 256 characters', '/clerkOrgId', { clerkOrgId: 'o'.repeat(256) }],
    ['a clerkOrgId with a space', '/clerkOrgId', { clerkOrgId: 'org a' }],
    ['a clerkOrgId with a space at its end', '/clerkOrgId', { clerkOrgId: 'org_a ' }],
    ['a clerkOrgId with a Unicode space', '/clerkOrgId', { clerkOrgId: 'org\u2003a' }],
    ['a clerkOrgId with a control character', '/clerkOrgId', { clerkOrgId: 'org\u0007a' }],
    ['a clerkOrgId that is a number', '/clerkOrgId', { clerkOrgId: 7 }],
    ['a clerkOrgId that is a list', '/clerkOrgId', { clerkOrgId: ['org_a'] }],
    ['an empty name', '/name', { name: '' }],
    ['a name of 256 characters', '/name', { name: 'n'.repeat(256) }],
    ['a name that is a number', '/name', { name: 1 }],
    ['another environment', '/environment', { environment: 'staging' }],
    ['an environment that is null', '/environment', { environment: null }],
    ['an expiresAt in the past', '/expiresAt', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['an expiresAt without a time', '/expiresAt', { expiresAt: '2099-01-01' }],
    ['an expiresAt without an offset', '/expiresAt', { expiresAt: '2099-01-01T00:00:00' }],
    ['an expiresAt on a day that does not exist', '/expiresAt', { expiresAt: '2099-02-30T00:00:00Z' }],
    ['an expiresAt that is a number', '/expiresAt', { expiresAt: 4_102_444_800_000 }],
    ['an expiresAt after the year 9999', '/expiresAt', { expiresAt: '+010000-01-01T00:00:00Z' }],
    ['an expiresAt after the year 9999 in UTC', '/expiresAt', { expiresAt: '9999-12-31T23:59:59-23:59' }],
    ['scopes that are text', '/scopes', { scopes: 'read:orders' }],
    ['a scope in upper case', '/scopes/0', { scopes: ['READ'] }],
    ['a scope that is empty', '/scopes/1', { scopes: ['read', ''] }],
    ['a scope that is null', '/scopes/0', { scopes: [null] }],
    ['a scope of 65 characters', '/scopes/0', { scopes: ['a'.repeat(65)] }],
    ['more than 64 scopes', '/scopes', { scopes: Array.from({ length: 65 }, (_, n) => `scope-${n}`) }],
    ['metadata that is a list', '/metadata', { metadata: [] }],
    ['metadata that is text', '/metadata', { metadata: '{}' }],
    ['metadata of more than 4 KiB', '/metadata', { metadata: { a: 'x'.repeat(4_097 - '{"a":""}'.length) } }],
    ['metadata of more than 4 KiB in UTF-8', '/metadata', { metadata: { a: '✨'.repeat(1_400) } }],
    ['an unknown field', '/scope', { scope: ['read'] }],
    ['a field in another case', '/clerkOrgID', { clerkOrgID: 'org_a' }],
  ])('refuses %s and makes no organisation known', async (_what, pointer, change) => {
    const clerkOrgId = newOrganization();
    expectInvalid(await issue({ clerkOrgId, ...change }), pointer);
    expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [clerkOrgId])).toEqual(
      [],
    );
  });

  it.each([
    ['at the top', (org: string) => `{"clerkOrgId":"${org}","metadata":{"__proto__":{"admin":true},"team":"blue"}}`],
    ['deeper', (org: string) => `{"clerkOrgId":"${org}","metadata":{"team":{"__proto__":{"admin":true}}}}`],
  ])('refuses metadata with a member named __proto__ %s, rather than lose it without a word', async (_what, body) => {
    expectProblem(await issue(body(newOrganization())), 400, 'invalid_request');
  });

  it('refuses a number that JSON can write and no computer can hold', async () => {
    const answer = await issue(`{"clerkOrgId":"${newOrganization()}","metadata":{"a":1e400}}`);
    expectProblem(answer, 400, 'invalid_request');
  });

  it('names every field that is wrong', async () => {
    const answer = await issue({ name: '', environment: 'staging', scopes: ['read', 'A B'], bogus: 1 });
    expectInvalid(answer, '/clerkOrgId', '/name', '/environment', '/scopes/1', '/bogus');
  });

  it('says what is wrong in a sentence that starts with the field', async () => {
    const { body } = await issue({ clerkOrgId: newOrganization(), environment: 'staging' });
    expect(body.detail).toBe('environment must be one of "live", "test".');
  });

  it('never repeats a value', async () => {
    const answer = await issue({ clerkOrgId: 'sk-secret in-the-wrong-place', name: { 'sk-secret': 'sk-secret' } });
    expectProblem(answer, 400, 'invalid_request');
    expect(answer.text).not.toContain('sk-secret');
  });
});
