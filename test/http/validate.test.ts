import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

describe('GET /validate', () => {
  describe('200', () => {
    it('tells whose the key is, in the shape that callers depend on', async () => {
      const org = newOrganization();
      const { key, id } = await service.issueKey(org, { name: 'CI' });
      const { status, body } = await service.asHolder(key, '/validate');
      expect(status).toBe(200);
      expect(body).toEqual({
        valid: true,
        orgId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        clerkOrgId: org,
        clerkUserId: null,
        configuredProviders: [],
        membership: 'disabled',
        apiKey: { id, name: 'CI', environment: 'live', scopes: null, metadata: {}, expiresAt: null },
      });
    });

    it('gives every setting of the key back as it was issued', async () => {
      const settings = {
        name: 'Nightly export ✨',
        environment: 'test',
        scopes: ['read:orders', 'orders:*'],
        metadata: { team: 'blue', limits: { perDay: 5, tags: ['a', null, true] } },
        expiresAt: '2099-12-31T23:59:59.123Z',
      };
      const { key, id } = await service.issueKey(newOrganization(), settings);
      const { body } = await service.asHolder(key, '/validate');
      expect(body.apiKey).toEqual({ id, ...settings });
    });

    it('answers one orgId for every key of an organisation, and another for another', async () => {
      const [ours, theirs] = [newOrganization(), newOrganization()];
      const keys = [await service.issueKey(ours), await service.issueKey(ours), await service.issueKey(theirs)];
      const answers = await Promise.all(keys.map(({ key }) => service.asHolder(key, '/validate')));
      const [first, second, other] = answers.map(({ body }) => body.orgId);
      const [row] = await service.sql('select id from key_service.organizations where clerk_org_id = $1', [ours]);
      expect([first, second]).toEqual([row?.['id'], row?.['id']]);
      expect(other).not.toBe(first);
    });

    it('sorts configuredProviders by code point and leaves out those whose key was destroyed', async () => {
      const org = newOrganization();
      const { key } = await service.issueKey(org);
      for (const provider of ['b', 'a0', 'gone', 'ab', 'a-b', '0z', 'a']) {
        await service.saveProviderKey(org, provider, `not-a-real-${provider}-secret`);
      }
      await service.asService('DELETE', `/internal/keys/gone?clerkOrgId=${org}`);
      const { body } = await service.asHolder(key, '/validate');
      expect(body.configuredProviders).toEqual(['0z', 'a', 'a-b', 'a0', 'ab', 'b']);
    });

    it('takes the scheme in any case', async () => {
      const { key } = await service.issueKey(newOrganization());
      for (const scheme of ['bearer', 'BEARER', 'bEaReR']) {
        const { status } = await service.request('GET', '/validate', {
          headers: { Authorization: `${scheme} ${key}` },
        });
        expect(status, scheme).toBe(200);
      }
    });

    it('trims white space around the key', async () => {
      const { key } = await service.issueKey(newOrganization());
      const head = requestHead('GET /validate', `Authorization:  \t Bearer \t  ${key} \t `);
      expect((await sendRaw(service.port, head)).status).toBe(200);
    });

    it.each([
      ["the service's own key in X-API-Key", { 'X-API-Key': SERVICE_KEY }],
      ["the service's own key in X-Service-Key", { 'X-Service-Key': SERVICE_KEY }],
      ['a wrong X-Service-Key', { 'X-Service-Key': 'certainly-not-the-service-key' }],
      ['a wrong X-API-Key', { 'X-API-Key': 'ks_live_nobodys' }],
    ])('answers the same whether or not %s is sent along', async (_what, headers) => {
      const { key } = await service.issueKey(newOrganization());
      const plain = await service.asHolder(key, '/validate');
      const beside = await service.request('GET', '/validate', {
        headers: { Authorization: `Bearer ${key}`, ...headers },
      });
      expect(beside.status).toBe(200);
      expect(beside.text).toBe(plain.text);
    });

    it('accepts a key of any other form that was imported by its hash', async () => {
      const org = newOrganization();
      await service.issueKey(org);
      const key = 'legacy-key-of-another-form-0123456789';
      await service.sql(
        `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment)
         select gen_random_uuid(), id, $2, 'legacy-', '6789', 'live' from key_service.organizations where clerk_org_id = $1`,
        [org, createHash('sha256').update(key).digest()],
      );
      const { status, body } = await service.asHolder(key, '/validate');
      expect({ status, clerkOrgId: body.clerkOrgId }).toEqual({ status: 200, clerkOrgId: org });
      expect((await service.asHolder(`${key}0`, '/validate')).status).toBe(401);
    });

    it('is followed by a lastUsedAt that the list shows, and a refused validation by none', async () => {
      const org = newOrganization();
      const [used, unused] = [await service.issueKey(org), await service.issueKey(org)];
      await service.sql('update key_service.api_keys set enabled = false where id = $1', [unused.id]);
      const before = Date.now();
      await service.asHolder(unused.key, '/validate');
      await service.asHolder(used.key, '/validate');
      const lastUsed = async () => {
        const { body } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
        return Object.fromEntries(
          body.keys.map((item: { id: string; lastUsedAt: string }) => [item.id, item.lastUsedAt]),
        );
      };
      const shown = await vi.waitFor(async () => {
        const instants = await lastUsed();
        expect(instants[used.id]).not.toBeNull();
        return instants;
      }, 3_000);
      expect(new Date(shown[used.id]).getTime()).toBeGreaterThanOrEqual(before);
      expect(new Date(shown[used.id]).getTime()).toBeLessThanOrEqual(Date.now());
      expect(shown[unused.id]).toBeNull();
    });
  });
});

describe('HEAD /validate', () => {
  it('200: has the headers of a GET and no body', async () => {
    const { key } = await service.issueKey(newOrganization());
    const headers = { Authorization: `Bearer ${key}` };
    const [get, head] = [
      await service.request('GET', '/validate', { headers }),
      await service.request('HEAD', '/validate', { headers }),
    ];
    expect({ status: head.status, text: head.text }).toEqual({ status: 200, text: '' });
    for (const name of ['content-type', 'content-length', 'cache-control']) {
      expect(head.headers.get(name), name).toBe(get.headers.get(name));
    }
  });

  it('401: refuses like a GET', async () => {
    const { status, text, headers } = await service.request('HEAD', '/validate');
    expect({ status, text }).toEqual({ status: 401, text: '' });
    expect(headers.get('www-authenticate')).toBe('Bearer realm="key-service"');
  });
});

describe('POST /validate', () => {
  it('405: a validation is a read', async () => {
    const { key } = await service.issueKey(newOrganization());
    const answer = await service.request('POST', '/validate', { headers: { Authorization: `Bearer ${key}` } });
    expectProblem(answer, 405, 'method_not_allowed');
  });
});
