import { createHash, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0', CACHE_LEASE_MS: '60000' } });
});
afterAll(() => service.stop());

const validate = (body: unknown) => service.asService('POST', '/internal/api-keys/validate', body);
const resultsOf = async (keys: string[], scopes?: string[]) => {
  const { status, body } = await validate({ keys, ...(scopes === undefined ? {} : { scopes }) });
  expect(status).toBe(200);
  expect(body.results).toHaveLength(keys.length);
  return body.results;
};

/** A key in each state that a key can be in, and what it is answered by itself. */
async function keysOfAllKinds() {
  const [org, suspended, ended] = [newOrganization(), newOrganization(), newOrganization()];
  const changed = async (change: string) => {
    const { id, key } = await service.issueKey(org);
    await service.sql(`update key_service.api_keys set ${change} where id = $1`, [id]);
    return key;
  };
  const { key: imported } = { key: `legacy ${randomUUID()}` };
  const sha256 = createHash('sha256').update(imported).digest('hex');
  await service.asService('POST', '/internal/api-keys/import', { keys: [{ clerkOrgId: org, sha256 }] });
  const good = await service.issueKey(org, { name: 'Ünïcode', metadata: { plan: ['gold', 1, null] } });
  const limited = await service.issueKey(org, { scopes: ['read:orders', 'write:*'] });
  const keys = {
    good: good.key,
    imported,
    limited: limited.key,
    wrongChecksum: `${good.key.slice(0, -1)}${good.key.endsWith('0') ? '1' : '0'}`,
    unknown: 'not-a-key',
    revoked: await changed('revoked_at = now()'),
    expired: await changed(`expires_at = '2026-01-01T00:00:00Z'`),
    disabled: await changed('enabled = false'),
    suspended: (await service.issueKey(suspended)).key,
    ended: (await service.issueKey(ended)).key,
  };
  await service.asService('POST', `/internal/organizations/${suspended}/suspend`);
  await service.asService('DELETE', `/internal/organizations/${ended}`);
  return Object.values(keys);
}

/** What GET /validate says of it, as a batch would. */
async function alone(key: string, scopes: string[] = []) {
  const query = scopes.map((scope) => `scope=${scope}`).join('&');
  const { status, body } = await service.asHolder(key, `/validate?${query}`);
  return status === 200 ? body : { valid: false, code: body.code, error: body.error };
}

describe('POST /internal/api-keys/validate', () => {
  describe('200', () => {
    it('answers of each key what GET /validate does, in order, whatever is asked for and how often', async () => {
      const keys = await keysOfAllKinds();
      const scopes = fc.uniqueArray(fc.constantFrom('read:orders', 'write:users', 'admin'), { maxLength: 2 });
      const some = fc.array(fc.constantFrom(...keys), { minLength: 1, maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(some, scopes, async (asked, required) => {
          const expected = [];
          for (const key of asked) expected.push(await alone(key, required));
          expect(await resultsOf(asked, required)).toEqual(expected);
        }),
        {
          numRuns: 40,
          examples: [
            [keys, []],
            [keys, ['read:orders']],
          ],
        },
      );
    });

    it('takes up to 100 keys that nobody has asked about before, and looks them up together', async () => {
      const org = newOrganization();
      const keys = await Promise.all(Array.from({ length: 100 }, async () => (await service.issueKey(org)).key));
      const results = await resultsOf(keys);
      for (const [at, { valid, apiKey, clerkOrgId }] of results.entries()) {
        expect({ valid, clerkOrgId, id: apiKey.id }).toEqual({
          valid: true,
          clerkOrgId: org,
          id: (await service.asHolder(keys[at] ?? '', '/validate')).body.apiKey.id,
        });
      }
    });

    it('takes a key with white space around it, as a header does', async () => {
      const { key } = await service.issueKey(newOrganization());
      expect(await resultsOf([` ${key} `])).toEqual([expect.objectContaining({ valid: true })]);
    });

    it('refuses a key from the moment that its revocation was answered', async () => {
      const org = newOrganization();
      const [kept, doomed] = [await service.issueKey(org), await service.issueKey(org)];
      for (let n = 0; n < 3; n += 1) {
        expect(await resultsOf([kept.key, doomed.key])).toMatchObject([{ valid: true }, { valid: true }]);
      }
      await service.asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
      expect(await resultsOf([kept.key, doomed.key])).toMatchObject([
        { valid: true },
        { valid: false, code: 'api_key_revoked' },
      ]);
    });

    it('is a use of the good keys, and of no other', async () => {
      const org = newOrganization();
      const [good, off] = [await service.issueKey(org), await service.issueKey(org)];
      await service.asService('PATCH', `/internal/api-keys/${off.id}`, { clerkOrgId: org, enabled: false });
      await resultsOf([off.key, good.key]);
      const lastUsed = async (id: string) =>
        (await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`)).body.lastUsedAt;
      await expect.poll(() => lastUsed(good.id)).not.toBeNull();
      expect(await lastUsed(off.id)).toBeNull();
    });

    it('counts the uses of a key that has only so many, and none for what is refused', async () => {
      const { key } = await service.issueKey(newOrganization(), { remainingUses: 3, scopes: ['read:orders'] });
      for (const result of await resultsOf([key, key, key, key], ['admin']))
        expect(result.code).toBe('insufficient_scope');
      const results = await resultsOf([key, key, key, key, key]);
      const good = results.filter(({ valid }: { valid: unknown }) => valid === true);
      const left = good.map(({ apiKey }: { apiKey: { remainingUses: number } }) => apiKey.remainingUses);
      expect(left.toSorted()).toEqual([0, 1, 2]);
      const refused = results.filter(({ valid }: { valid: unknown }) => valid === false);
      expect(refused.map(({ code }: { code: string }) => code)).toEqual(['usage_exceeded', 'usage_exceeded']);
    });

    it('counts against the rate limit of a key, and says of that key alone that it is over', async () => {
      const org = newOrganization();
      const limited = await service.issueKey(org, { rateLimit: { limit: 2, windowSeconds: 3_600 } });
      const other = await service.issueKey(org);
      const results = await resultsOf([limited.key, limited.key, limited.key, other.key]);
      const outcomes = results.map(({ valid, code }: { valid: unknown; code: unknown }) => code ?? valid);
      expect(outcomes.toSorted()).toEqual(['rate_limited', true, true, true]);
      expect(outcomes[3]).toBe(true);
      const waits = results.map(({ retryAfterSeconds }: { retryAfterSeconds?: number }) => retryAfterSeconds);
      expect(waits.filter((wait: number | undefined) => wait !== undefined)).toEqual([expect.any(Number)]);
      expect(Math.max(...waits.map((wait: number | undefined) => wait ?? 0))).toBeGreaterThan(3_500);
      expectProblem(await service.asHolder(limited.key, '/validate'), 429, 'rate_limited');
    });

    it('lets a key with a list of addresses in from these alone, as X-Client-IP names the client of all of them', async () => {
      const org = newOrganization();
      const listed = await service.issueKey(org, { ipAllowList: ['203.0.113.0/24'] });
      const anywhere = await service.issueKey(org);
      const from = async (address: string) => {
        const { body } = await service.request('POST', '/internal/api-keys/validate', {
          body: { keys: [listed.key, anywhere.key] },
          headers: { 'X-Service-Key': SERVICE_KEY, 'X-Client-IP': address },
        });
        return body.results.map(({ valid, code }: { valid: unknown; code: unknown }) => code ?? valid);
      };
      expect(await from('203.0.113.7')).toEqual([true, true]);
      expect(await from(' ::ffff:203.0.113.7 ')).toEqual([true, true]);
      expect(await from('203.0.114.7')).toEqual(['ip_not_allowed', true]);
      // Without it, it is the gateway's own.
      expect((await resultsOf([listed.key]))[0].code).toBe('ip_not_allowed');
    });

    it('counts each key by its outcome, and leaves no key in the log', async () => {
      const { key } = await service.issueKey(newOrganization());
      const counted = async (outcome: string) =>
        (await metricsOf(service)).value('key_service_validations_total', { outcome }) ?? 0;
      const before = { valid: await counted('valid'), invalid: await counted('api_key_invalid') };
      await resultsOf([key, 'not-a-key', key]);
      expect(await counted('valid')).toBe(before.valid + 2);
      expect(await counted('api_key_invalid')).toBe(before.invalid + 1);
      expect(JSON.stringify(service.logLines)).not.toContain(key.slice(12));
    });
  });

  describe('400', () => {
    it.each([
      [{}, '/keys'],
      [{ keys: [] }, '/keys'],
      [{ keys: 'ks_live_' }, '/keys'],
      [{ keys: Array(101).fill('k') }, '/keys'],
      [{ keys: ['k', ''] }, '/keys/1'],
      [{ keys: ['k', ' '] }, '/keys/1'],
      [{ keys: ['k', 7] }, '/keys/1'],
      [{ keys: [null] }, '/keys/0'],
      [{ keys: ['k'.repeat(8_193)] }, '/keys/0'],
      [{ keys: ['k'], scopes: ['Not A Scope'] }, '/scopes/0'],
      [{ keys: ['k'], scopes: Array(65).fill('read') }, '/scopes'],
      [{ keys: ['k'], scope: ['read'] }, '/scope'],
      [{ keys: ['k'], clerkOrgId: 'org_a' }, '/clerkOrgId'],
    ])('refuses %j', async (body, pointer) => {
      expectInvalid(await validate(body), pointer);
    });

    it.each(['somewhere', '203.0.113.7, 203.0.113.8', ''])('refuses the client address %j', async (address) => {
      const answer = await service.request('POST', '/internal/api-keys/validate', {
        body: { keys: ['k'] },
        headers: { 'X-Service-Key': SERVICE_KEY, 'X-Client-IP': address },
      });
      expectInvalid(answer, '');
    });
  });

  it('401, 413: asks for a service key, and takes no more than other bodies', async () => {
    const { key } = await service.issueKey(newOrganization());
    const asHolder = await service.request('POST', '/internal/api-keys/validate', {
      body: { keys: [key] },
      headers: { Authorization: `Bearer ${key}` },
    });
    expect(asHolder.status).toBe(401);
    expect((await validate({ keys: Array(20).fill('k'.repeat(4_000)) })).status).toBe(413);
  });
});
