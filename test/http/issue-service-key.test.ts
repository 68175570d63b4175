import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PERMISSIONS } from '../../src/caller.ts';
import { isServiceKey } from '../../src/key-format.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { callsWith, newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const issue = (body: unknown) => service.asService('POST', '/internal/service-keys', body);

describe('POST /internal/service-keys', () => {
  describe('201', () => {
    it('issues a key and shows it, in its documented shape', async () => {
      const { status, body } = await issue({
        name: 'billing',
        permissions: ['provider-keys:reveal', 'api-keys:read'],
        revealProviders: ['openai', 'anthropic'],
        expiresAt: '2099-01-01T02:00:00+02:00',
      });
      expect(status).toBe(201);
      expect(body).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
        key: expect.stringMatching(/^ks_service_[0-9A-Za-z]{49}$/),
        keyPrefix: body.key.slice(0, 'ks_service_'.length + 4),
        last4: body.key.slice(-4),
        name: 'billing',
        status: 'active',
        permissions: ['api-keys:read', 'provider-keys:reveal'],
        revealProviders: ['openai', 'anthropic'],
        expiresAt: '2099-01-01T00:00:00.000Z',
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        lastUsedAt: null,
        revokedAt: null,
        message: expect.stringMatching(/\S/),
      });
      expect(isServiceKey(body.key)).toBe(true);
    });

    it.each<[what: string, settings: Record<string, unknown>]>([
      ['nothing but a name', {}],
      ['an empty list of permissions', { permissions: [] }],
      ['null where it may stand', { revealProviders: null, expiresAt: null }],
    ])('issues a key that may do nothing, for ever, for %s', async (_what, settings) => {
      const { status, body } = await issue({ name: 'idle', ...settings });
      expect({ status, ...body }).toMatchObject({
        status: 'active',
        permissions: [],
        revealProviders: null,
        expiresAt: null,
      });
      const answer = await callsWith(service, body.key)('GET', `/internal/keys?clerkOrgId=${newOrganization()}`);
      expectProblem(answer, 403, 'service_key_forbidden');
    });

    it('lists each permission and provider once, permissions in the order in which they are documented', async () => {
      const { body } = await issue({
        name: 'everything',
        permissions: [...PERMISSIONS.toReversed(), ...PERMISSIONS],
        revealProviders: ['openai', 'anthropic', 'openai'],
      });
      expect(body.permissions).toEqual([...PERMISSIONS]);
      expect(body.revealProviders).toEqual(['openai', 'anthropic']);
    });

    it.each(['a', '0', 'billing', 'billing-2', 'a'.repeat(63), 'roots', 'root-2'])(
      'takes the name %s, and logs requests under it',
      async (name) => {
        const { key } = await newServiceCaller(service, { name, permissions: ['provider-keys:read'] });
        const requestId = `named-${name.slice(0, 40)}`;
        await service.request('GET', `/internal/keys?clerkOrgId=${newOrganization()}`, {
          headers: { 'X-Service-Key': key, 'X-Request-Id': requestId },
        });
        const line = () => service.logLines.find((logged) => logged['requestId'] === requestId);
        await expect.poll(() => line()?.['caller']).toBe(`service:${name}`);
      },
    );

    it('issues any number of keys with one name, all of them good', async () => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => issue({ name: 'rotating', permissions: ['api-keys:read'] })),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
      const keys = answers.map(({ body }) => body.key);
      expect(new Set(keys).size).toBe(50);
      expect(new Set(answers.map(({ body }) => body.id)).size).toBe(50);
      const path = `/internal/api-keys?clerkOrgId=${newOrganization()}`;
      for (const key of keys) expect((await callsWith(service, key)('GET', path)).status).toBe(200);
    });

    it('starts new keys with API_KEY_PREFIX, and keys with another prefix stay good', async () => {
      const { as } = await newServiceCaller(service, { permissions: ['api-keys:read'] });
      const renamed = await startService({ beside: service, environment: { API_KEY_PREFIX: 'acme' } });
      try {
        const { key } = await newServiceCaller(renamed);
        expect(key).toMatch(/^acme_service_/);
        const path = `/internal/api-keys?clerkOrgId=${newOrganization()}`;
        expect((await as('GET', path)).status).toBe(200);
      } finally {
        await renamed.stop();
      }
    });

    it('stores the SHA-256 of the key and not the key', async () => {
      const { id, key } = await newServiceCaller(service);
      const [row] = await service.sql(
        'select key_hash, service_keys::text as text from key_service.service_keys where id = $1',
        [id],
      );
      expect(row?.['key_hash']).toEqual(createHash('sha256').update(key).digest());
      expect(row?.['text']).not.toContain(key.slice('ks_service_'.length + 4, -4).slice(0, 8));
    });
  });

  describe('400', () => {
    it.each<[what: string, pointer: string, change: Record<string, unknown>]>([
      ['no name', '/name', { name: undefined }],
      ['a name that is null', '/name', { name: null }],
      ['an empty name', '/name', { name: '' }],
      ['the name of the root caller', '/name', { name: 'root' }],
      ['a name in capitals', '/name', { name: 'Billing' }],
      ['a name with a space', '/name', { name: 'billing service' }],
      ['a name with a colon', '/name', { name: 'service:billing' }],
      ['a name that starts with a hyphen', '/name', { name: '-billing' }],
      ['a name with a line feed', '/name', { name: 'billing\n' }],
      ['a name of 64 characters', '/name', { name: 'a'.repeat(64) }],
      ['a name that is a number', '/name', { name: 7 }],
      ['permissions that are text', '/permissions', { permissions: 'api-keys:read' }],
      ['permissions that are null', '/permissions', { permissions: null }],
      ['an unknown permission', '/permissions/1', { permissions: ['api-keys:read', 'api-keys:delete'] }],
      ['a permission with a wildcard', '/permissions/0', { permissions: ['api-keys:*'] }],
      ['the permission root', '/permissions/0', { permissions: ['root'] }],
      ['a permission in capitals', '/permissions/0', { permissions: ['API-KEYS:READ'] }],
      ['a permission that is null', '/permissions/0', { permissions: [null] }],
      ['providers that are text', '/revealProviders', { revealProviders: 'openai' }],
      ['a provider in capitals', '/revealProviders/0', { revealProviders: ['OpenAI'] }],
      ['a provider with a wildcard', '/revealProviders/1', { revealProviders: ['openai', '*'] }],
      ['an empty provider', '/revealProviders/0', { revealProviders: [''] }],
      ['65 providers', '/revealProviders', { revealProviders: Array.from({ length: 65 }, (_, n) => `provider-${n}`) }],
      ['providers without the permission', '/revealProviders', { permissions: ['provider-keys:read'] }],
      ['providers without any permission', '/revealProviders', { permissions: undefined }],
      ['an expiresAt in the past', '/expiresAt', { expiresAt: '2020-01-01T00:00:00Z' }],
      ['an expiresAt without an offset', '/expiresAt', { expiresAt: '2099-01-01T00:00:00' }],
      ['an expiresAt after the year 9999', '/expiresAt', { expiresAt: '9999-12-31T23:59:59-23:59' }],
      ['an unknown field', '/scopes', { scopes: ['read'] }],
      ['an organisation', '/clerkOrgId', { clerkOrgId: 'org_a' }],
    ])('refuses %s', async (_what, pointer, change) => {
      const good = { name: 'refused', permissions: ['provider-keys:reveal'], revealProviders: ['openai'] };
      expectInvalid(await issue({ ...good, ...change }), pointer);
      expect(await service.sql("select 1 from key_service.service_keys where name = 'refused'")).toEqual([]);
    });

    it('refuses no body at all', async () => {
      expectInvalid(await issue(undefined), '');
    });
  });
});
