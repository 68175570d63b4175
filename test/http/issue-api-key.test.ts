import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasWrongChecksum } from '../../src/key-format.ts';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const issue = (clerkOrgId: unknown, settings: Record<string, unknown> = {}) =>
  service.asService('POST', '/internal/api-keys', { clerkOrgId, ...settings });

describe('POST /internal/api-keys 201', () => {
  it('issues a key, in the shape that callers depend on', async () => {
    const { status, body } = await issue(newOrganization(), { name: 'CI' });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      key: expect.stringMatching(/^ks_live_[0-9A-Za-z]{49}$/),
      keyPrefix: body.key.slice(0, 12),
      last4: body.key.slice(-4),
      name: 'CI',
      message: expect.stringMatching(/\S/),
      status: 'active',
      enabled: true,
      environment: 'live',
      scopes: null,
      metadata: {},
      ipAllowList: null,
      expiresAt: null,
      rateLimit: null,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      lastUsedAt: null,
      revokedAt: null,
      recoverable: false,
      rotatedFrom: null,
      rotatedTo: null,
      remainingUses: null,
      refill: null,
    });
    expect(hasWrongChecksum('ks', body.key)).toBe(false);
  });

  it('issues a key that is good at once', async () => {
    const org = newOrganization();
    const { body } = await issue(org);
    expect((await service.asHolder(body.key, '/validate')).body.clerkOrgId).toBe(org);
  });

  it('never issues one key twice', async () => {
    const org = newOrganization();
    const answers = await Promise.all(Array.from({ length: 20 }, () => issue(org, { name: 'same' })));
    expect(new Set(answers.map(({ body }) => body.key)).size).toBe(20);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(20);
  });

  it('stores the SHA-256 of the key and not the key', async () => {
    const { body } = await issue(newOrganization());
    const [row] = await service.sql('select key_hash, api_keys::text as text from key_service.api_keys where id = $1', [
      body.id,
    ]);
    expect(row?.['key_hash']).toEqual(createHash('sha256').update(body.key).digest());
    const secretPart = body.key.slice('ks_live_'.length + 4, -4);
    expect(row?.['text']).not.toContain(secretPart.slice(0, 8));
    expect(row?.['text']).not.toContain(Buffer.from(secretPart).toString('hex').slice(0, 16));
  });

  it('leaves no trace of the key in the log', async () => {
    const { body } = await issue(newOrganization());
    await service.asHolder(body.key, '/validate');
    await expect.poll(() => JSON.stringify(service.logLines)).toContain(body.id);
    expect(JSON.stringify(service.logLines)).not.toContain(body.key.slice(12));
  });

  it('marks the key of the test environment', async () => {
    const { body } = await issue(newOrganization(), { environment: 'test' });
    expect(body).toMatchObject({ environment: 'test', key: expect.stringMatching(/^ks_test_[0-9A-Za-z]{49}$/) });
  });

  it.each([
    ['missing', undefined],
    ['null', null],
  ])('takes name, scopes, metadata, expiresAt and rateLimit that are %s for their defaults', async (_what, value) => {
    const settings = { name: value, scopes: value, metadata: value, expiresAt: value, rateLimit: value };
    const { status, body } = await issue(newOrganization(), settings);
    expect(status).toBe(201);
    expect(body).toMatchObject({ name: null, scopes: null, metadata: {}, expiresAt: null, rateLimit: null });
  });

  it('keeps an empty list of scopes, which grants nothing, apart from null, which grants everything', async () => {
    const { body } = await issue(newOrganization(), { scopes: [] });
    expect(body.scopes).toEqual([]);
    expect((await service.asHolder(body.key, '/validate?scope=read')).status).toBe(403);
  });

  it('keeps each scope once, in the order in which they were sent', async () => {
    const { body } = await issue(newOrganization(), { scopes: ['write:b', 'read:a', 'write:b'] });
    expect(body.scopes).toEqual(['write:b', 'read:a']);
  });

  it.each([
    ['2099-01-01T00:00:00Z', '2099-01-01T00:00:00.000Z'],
    ['2099-01-01T00:00:00.123456789Z', '2099-01-01T00:00:00.123Z'],
    ['2099-01-01T01:30:00+01:30', '2099-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('takes expiresAt %s for the instant %s', async (sent, answered) => {
    const { body } = await issue(newOrganization(), { expiresAt: sent });
    expect(body.expiresAt).toBe(answered);
    expect((await service.asHolder(body.key, '/validate')).body.apiKey.expiresAt).toBe(answered);
  });

  it.each([
    ['255 characters', 'n'.repeat(255)],
    ['255 characters outside the basic plane', '🔑'.repeat(255)],
    ['quotes, markup and SQL', `"'; drop table api_keys; -- <script>`],
  ])('keeps a name of %s as it was sent', async (_what, name) => {
    expect((await issue(newOrganization(), { name })).body.name).toBe(name);
  });

  it.each([
    ['nested values of every type', { a: [1, -0.5, 1e21, true, null, '✨', {}, [[]]], b: { c: { d: 'e' } } }],
    ['names that mean something to JavaScript', { constructor: 1, toString: 2, hasOwnProperty: { valueOf: 3 } }],
    ['an empty name', { '': 1 }],
    ['exactly 4 KiB as JSON', { a: 'x'.repeat(4_096 - '{"a":""}'.length) }],
  ])('keeps metadata with %s as it was sent', async (_what, metadata) => {
    const { status, body } = await issue(newOrganization(), { metadata });
    expect({ status, metadata: body.metadata }).toEqual({ status: 201, metadata });
    expect((await service.asHolder(body.key, '/validate')).body.apiKey.metadata).toEqual(metadata);
  });

  it.each(['o', 'o'.repeat(255), 'org_2abc-DEF.ghi', 'объединение'])('takes %s for an organisation', async (org) => {
    const { body } = await issue(org);
    expect((await service.asHolder(body.key, '/validate')).body.clerkOrgId).toBe(org);
  });
});
