import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
const org = newOrganization();
let path: string;
beforeAll(async () => {
  service = await startService();
  path = `/internal/api-keys/${(await service.issueKey(org)).id}`;
});
afterAll(() => service.stop());

const revision = async () => (await service.asService('GET', `${path}?clerkOrgId=${org}`)).body.revision;

describe('PATCH /internal/api-keys/:id 400', () => {
  it.each<[what: string, pointer: string, change: Record<string, unknown>]>([
    ['no clerkOrgId', '/clerkOrgId', { clerkOrgId: undefined }],
    ['a clerkOrgId that is null', '/clerkOrgId', { clerkOrgId: null }],
    ['an empty name', '/name', { name: '' }],
    ['a name of 256 characters', '/name', { name: 'n'.repeat(256) }],
    ['a name with a NUL character', '/name', { name: 'a\0' }],
    ['an enabled that is null, for there is nothing to clear', '/enabled', { enabled: null }],
    ['an enabled that is text', '/enabled', { enabled: 'false' }],
    ['an expiresAt in the past', '/expiresAt', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['an expiresAt without an offset', '/expiresAt', { expiresAt: '2099-01-01T00:00:00' }],
    ['a scope in upper case', '/scopes/0', { scopes: ['READ'] }],
    ['more than 64 scopes', '/scopes', { scopes: Array.from({ length: 65 }, (_, n) => `scope-${n}`) }],
    ['metadata that is a list', '/metadata', { metadata: [] }],
    ['metadata of more than 4 KiB', '/metadata', { metadata: { a: 'x'.repeat(4_097 - '{"a":""}'.length) } }],
    ['an environment, which no key changes', '/environment', { environment: 'test' }],
    ['an id', '/id', { id: 'x' }],
    ['a revocation', '/revokedAt', { revokedAt: null }],
  ])('refuses %s', async (_what, pointer, change) => {
    expectInvalid(await service.asService('PATCH', path, { clerkOrgId: org, name: 'new', ...change }), pointer);
    expect(await revision()).toBe(1);
  });

  it('needs a body', async () => {
    expectInvalid(await service.asService('PATCH', path), '');
    expectProblem(await service.asService('PATCH', path, '{'), 400, 'malformed_json');
  });

  it('takes the organisation from the body alone', async () => {
    expectInvalid(await service.asService('PATCH', `${path}?clerkOrgId=${org}`, { name: 'new' }), '/clerkOrgId');
  });

  it('takes 4 KiB of metadata', async () => {
    const metadata = { a: 'x'.repeat(4_096 - '{"a":""}'.length) };
    const { status, body } = await service.asService('PATCH', path, { clerkOrgId: org, metadata });
    expect({ status, metadata: body.metadata }).toEqual({ status: 200, metadata });
  });
});
