import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-a-not-a-real-secret-0123456789-3f9Q';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const save = (body: unknown) => service.asService('POST', '/internal/keys', body);
const reveal = async (org: string, provider = 'openai') =>
  (await service.asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`)).body;

/** Every row of an organisation's provider keys with the transaction that wrote it: any write at all changes it. */
const rowsOf = (org: string) =>
  service.sql(
    `select o.xmin::text as o, k.xmin::text as k, k.updated_at, k.version, v.version as of, v.xmin::text as v, v.sealed, d.xmin::text as d, d.seals
     from key_service.organizations o
     join key_service.provider_keys k on k.organization_id = o.id
     join key_service.provider_key_versions v on v.provider_key_id = k.id
     join key_service.data_keys d on d.organization_id = o.id
     where o.clerk_org_id = $1 order by v.version`,
    [org],
  );

describe('POST /internal/keys', () => {
  describe('201', () => {
    it('stores a key that is new, in the shape that callers depend on', async () => {
      const org = newOrganization();
      const { status, body } = await save({ clerkOrgId: org, provider: 'openai', apiKey: SECRET });
      expect({ status, body }).toEqual({
        status: 201,
        body: {
          provider: 'openai',
          maskedKey: 'sk-a••••3f9Q',
          version: 1,
          status: 'unchecked',
          message: expect.stringMatching(/\S/),
        },
      });
      expect(await reveal(org)).toMatchObject({ key: SECRET, version: 1 });
    });

    it('makes the organisation known under one row and one data key, however many keys it stores', async () => {
      const org = newOrganization();
      for (const provider of ['a', 'b', 'c']) await service.saveProviderKey(org, provider, SECRET);
      const [counts] = await service.sql(
        `select count(distinct o.id)::int as organizations, count(distinct d.id)::int as data_keys,
           count(distinct k.id)::int as provider_keys
         from key_service.organizations o join key_service.data_keys d on d.organization_id = o.id
         join key_service.provider_keys k on k.organization_id = o.id where o.clerk_org_id = $1`,
        [org],
      );
      expect(counts).toEqual({ organizations: 1, data_keys: 1, provider_keys: 3 });
    });

    it('keeps the same provider of two organisations apart', async () => {
      const [org, other] = [newOrganization(), newOrganization()];
      await service.saveProviderKey(org, 'openai', `${SECRET}-ours`);
      expect((await service.saveProviderKey(other, 'openai', `${SECRET}-theirs`)).status).toBe(201);
      expect([(await reveal(org)).key, (await reveal(other)).key]).toEqual([`${SECRET}-ours`, `${SECRET}-theirs`]);
    });

    it('leaves no character of the secret in the clear in the database', async () => {
      const org = newOrganization();
      await save({ clerkOrgId: org, provider: 'openai', apiKey: SECRET });
      const rows = await service.sql<{ text: string }>(
        `select k::text || v::text || d::text as text from key_service.provider_keys k
         join key_service.provider_key_versions v on v.provider_key_id = k.id
         join key_service.data_keys d on d.id = v.data_key_id`,
      );
      const text = JSON.stringify(rows);
      for (const part of [SECRET.slice(0, 6), SECRET.slice(-6), SECRET.slice(10, 16)]) {
        expect(text).not.toContain(part);
        expect(text).not.toContain(Buffer.from(part).toString('hex'));
      }
    });

    it.each(['a', '0', 'a-', '0-9-z', 'a'.repeat(63)])('accepts the provider %s', async (provider) => {
      const org = newOrganization();
      expect((await save({ clerkOrgId: org, provider, apiKey: SECRET })).status).toBe(201);
      expect((await reveal(org, provider)).key).toBe(SECRET);
    });

    it.each([
      ['8192 characters', 'k'.repeat(8_192)],
      ['8192 characters outside the basic plane', '🔑'.repeat(8_192)],
      ['one character', 'k'],
    ])('accepts a secret of %s', async (_what, apiKey) => {
      const org = newOrganization();
      expect((await save({ clerkOrgId: org, provider: 'openai', apiKey })).status).toBe(201);
      expect((await reveal(org)).key).toBe(apiKey);
    });

    it.each([
      ['spaces', `  ${SECRET}  `],
      ['a line end, as a file has it', `${SECRET}\r\n`],
      ['Unicode spaces', `\u00a0\u2003${SECRET}\u3000\ufeff`],
      ['so much of it that the rest alone is short enough', `${' '.repeat(9_000)}${SECRET}`],
    ])('trims white space around the secret: %s', async (_what, apiKey) => {
      const org = newOrganization();
      const { status, body } = await save({ clerkOrgId: org, provider: 'openai', apiKey });
      expect({ status, maskedKey: body.maskedKey }).toEqual({ status: 201, maskedKey: 'sk-a••••3f9Q' });
      expect((await reveal(org)).key).toBe(SECRET);
    });

    it.each([
      ['of twenty characters', 'abcd0123456789ABwxyz', 'abcd••••wxyz'],
      ['of nineteen characters', 'abcd0123456789Awxyz', '••••••••'],
      ['of one character', 'k', '••••••••'],
      ['of twenty characters outside the basic plane', `🔑🔒🔐🗝${'💠'.repeat(12)}🌑🌓🌕🌗`, '🔑🔒🔐🗝••••🌑🌓🌕🌗'],
      ['of nineteen characters in thirty-eight code units', '🔑'.repeat(19), '••••••••'],
    ])('masks a secret %s by its characters', async (_what, apiKey, maskedKey) => {
      const org = newOrganization();
      expect((await save({ clerkOrgId: org, provider: 'openai', apiKey })).body.maskedKey).toBe(maskedKey);
      const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
      expect(body.keys[0].maskedKey).toBe(maskedKey);
    });
  });

  describe('200', () => {
    it('replaces a key by another value, as the next version, and keeps the old one', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', SECRET);
      const { status, body } = await service.saveProviderKey(org, 'openai', 'sk-b-not-a-real-secret-at-all-7x2W');
      expect(status).toBe(200);
      expect(body).toMatchObject({ provider: 'openai', maskedKey: 'sk-b••••7x2W', version: 2 });
      expect(await reveal(org)).toMatchObject({ key: 'sk-b-not-a-real-secret-at-all-7x2W', version: 2 });
      const rows = await rowsOf(org);
      expect(rows.map((row) => [row['of'], row['version']])).toEqual([
        [1, 2],
        [2, 2],
      ]);
    });

    it.each([
      ['the same value', SECRET],
      ['the same value with white space around it', ` ${SECRET}\n`],
    ])('keeps the version and writes nothing for %s', async (_what, again) => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', SECRET);
      const before = await rowsOf(org);
      expect(before).toHaveLength(1);
      const { status, body } = await service.saveProviderKey(org, 'openai', again);
      expect(status).toBe(200);
      expect(body).toMatchObject({ provider: 'openai', maskedKey: 'sk-a••••3f9Q', version: 1 });
      expect(await rowsOf(org)).toEqual(before);
    });

    it('takes a value that was there before last for a new one', async () => {
      const org = newOrganization();
      for (const value of ['first', 'second', 'first']) await service.saveProviderKey(org, 'openai', value);
      expect(await reveal(org)).toMatchObject({ key: 'first', version: 3 });
    });
  });
});

describe('POST /internal/keys 400', () => {
  const valid = { provider: 'openai', apiKey: SECRET };
  it.each<[what: string, pointer: string, change: Record<string, unknown>]>([
    ['no clerkOrgId', '/clerkOrgId', { clerkOrgId: undefined }],
    ['an empty clerkOrgId', '/clerkOrgId', { clerkOrgId: '' }],
    ['a clerkOrgId with white space', '/clerkOrgId', { clerkOrgId: 'org a' }],
    ['no provider', '/provider', { provider: undefined }],
    ['an empty provider', '/provider', { provider: '' }],
    ['a provider of 64 characters', '/provider', { provider: 'a'.repeat(64) }],
    ['a provider in upper case', '/provider', { provider: 'OpenAI' }],
    ['a provider that starts with a hyphen', '/provider', { provider: '-openai' }],
    ['a provider with an underscore', '/provider', { provider: 'open_ai' }],
    ['a provider with a line end', '/provider', { provider: 'openai\n' }],
    ['a provider that is no text', '/provider', { provider: 7 }],
    ['no apiKey', '/apiKey', { apiKey: undefined }],
    ['an apiKey that is null', '/apiKey', { apiKey: null }],
    ['an empty apiKey', '/apiKey', { apiKey: '' }],
    ['an apiKey of white space', '/apiKey', { apiKey: ' \t\n\u00a0' }],
    ['an apiKey of 8193 characters', '/apiKey', { apiKey: 'k'.repeat(8_193) }],
    ['an apiKey with a space inside', '/apiKey', { apiKey: 'not real' }],
    ['an apiKey with a line end inside', '/apiKey', { apiKey: 'not\nreal' }],
    ['an apiKey with a no-break space inside', '/apiKey', { apiKey: 'not\u00a0real' }],
    ['an apiKey with a control character inside', '/apiKey', { apiKey: 'not\u001breal' }],
    ['an apiKey with a C1 control character inside', '/apiKey', { apiKey: 'not\u0085real' }],
    ['an apiKey that ends with DEL', '/apiKey', { apiKey: 'not-real\u007f' }],
    ['an apiKey with a NUL character', '/apiKey', { apiKey: 'not\u0000real' }],
    ['an apiKey with a lone surrogate', '/apiKey', { apiKey: 'not\ud83dreal' }],
    ['an unknown field', '/apikey', { apikey: SECRET }],
  ])('refuses %s and stores nothing', async (_what, pointer, change) => {
    const clerkOrgId = newOrganization();
    const answer = await save({ clerkOrgId, ...valid, ...change });
    expectInvalid(answer, pointer);
    expect(answer.text).not.toContain(SECRET);
    expect(await rowsOf(clerkOrgId)).toEqual([]);
  });

  it('names every field that is wrong', async () => {
    expectInvalid(await save({ provider: '', bogus: 1 }), '/clerkOrgId', '/provider', '/apiKey', '/bogus');
  });
});
