import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

async function validate(scopes: string[] | null, query: string) {
  const { key } = await service.issueKey(newOrganization(), { scopes });
  return service.asHolder(key, `/validate?${query}`);
}

describe('GET /validate?scope=…', () => {
  describe('200', () => {
    it.each<[what: string, granted: string[] | null, query: string]>([
      ['a scope that was granted', ['read:orders'], 'scope=read:orders'],
      ['one of several that were granted', ['write:orders', 'read:orders'], 'scope=read:orders'],
      ['any scope below a granted resource:*', ['orders:*'], 'scope=orders:read'],
      ['any scope far below a granted resource:*', ['orders:*'], 'scope=orders:lines:read'],
      ['every one of repeated scopes', ['read:orders', 'users:*'], 'scope=read:orders&scope=users:list'],
      ['any scope of a key whose scopes are null', null, 'scope=read:orders&scope=delete:everything'],
      ['no scope at all of a key that has none', [], ''],
    ])('grants %s', async (_what, granted, query) => {
      expect((await validate(granted, query)).status).toBe(200);
    });
  });

  describe('403', () => {
    it.each<[what: string, granted: string[], query: string]>([
      ['a scope that was not granted', ['read:orders'], 'scope=write:orders'],
      ['any scope of a key that has none', [], 'scope=read:orders'],
      ['the second of two scopes', ['read:orders'], 'scope=read:orders&scope=write:orders'],
      ['the first of two scopes', ['read:orders'], 'scope=write:orders&scope=read:orders'],
      ['a scope of another resource than resource:*', ['orders:*'], 'scope=users:read'],
      ['a resource whose name only starts alike', ['orders:*'], 'scope=orders-archive:read'],
      ['the bare resource of resource:*', ['orders:*'], 'scope=orders'],
      ['a scope that only starts like a granted one', ['read:orders'], 'scope=read:orders-archive'],
      ['a wider scope than was granted', ['orders:read'], 'scope=orders:*'],
    ])('refuses %s', async (_what, granted, query) => {
      const answer = await validate(granted, query);
      expectProblem(answer, 403, 'insufficient_scope');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="key-service", error="insufficient_scope"');
    });

    it('names the scope that is missing', async () => {
      const { body } = await validate(['read:orders'], 'scope=read:orders&scope=write:orders');
      expect(body.detail).toContain('write:orders');
    });
  });

  describe('400', () => {
    it.each([
      ['empty', 'scope='],
      ['with a space', 'scope=read%20orders'],
      ['in upper case', 'scope=READ'],
      ['longer than 64 characters', `scope=${'a'.repeat(65)}`],
      ['with a NUL character', 'scope=read%00'],
      ['with a quote, which would break out of a challenge', 'scope=%22'],
      ['good, and one that is not', 'scope=read:orders&scope=%0d%0a'],
    ])('refuses a scope that is %s', async (_what, query) => {
      const answer = await validate(null, query);
      expectProblem(answer, 400, 'invalid_request');
      expect(answer.body.errors[0].pointer).toMatch(/^\/scope/);
    });
  });

  describe('401', () => {
    it('comes before anything is said about the scope', async () => {
      expectProblem(await service.request('GET', '/validate?scope=READ'), 401, 'api_key_missing');
    });
  });
});
