import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { rewrapDataKeys } from '../../src/data-keys/rotation.ts';
import { openDatabase } from '../../src/database/database.ts';
import { openKeyring } from '../../src/open-keyring.ts';
import { newOrganization } from '../support/client.ts';
import { KMS_KEY, type KmsStandIn, OTHER_KMS_KEY, startKmsStandIn } from '../support/kms-stand-in.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { unrecorded } from '../support/vault.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';
const SOON = { timeout: 10_000, interval: 50 };

let kms: KmsStandIn;
let service: TestService;
beforeAll(async () => {
  kms = await startKmsStandIn();
  // The SDK reads the environment itself.
  for (const [name, value] of Object.entries(kms.environment)) vi.stubEnv(name, value);
  service = await startService({ environment: { ENCRYPTION_KEY: `aws-kms://${KMS_KEY}` } });
});
afterAll(async () => {
  await service.stop();
  await kms.close();
  vi.unstubAllEnvs();
});
beforeEach(() => {
  kms.behaviour = {};
});

/** An organisation with a key for openai. */
async function organizationWithKey(of = service) {
  const org = newOrganization();
  expect((await of.saveProviderKey(org, 'openai', SECRET)).status).toBe(201);
  return org;
}
const decrypt = (org: string, of = service) => of.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
const beside = (environment: NodeJS.ProcessEnv = {}) =>
  startService({ beside: service, environment: { ENCRYPTION_KEY: `aws-kms://${KMS_KEY}`, ...environment } });

describe('A master key in AWS KMS', () => {
  it('wraps data keys, bound to what they are for, and opens them for another replica', async () => {
    const org = await organizationWithKey();
    const [row] = await service.sql<{ id: string; organization_id: string; master_key_id: string }>(
      `select d.id, organization_id, master_key_id from key_service.data_keys d
       join key_service.organizations o on o.id = organization_id where clerk_org_id = $1`,
      [org],
    );
    expect(row?.master_key_id).toBe(KMS_KEY);
    const context = {
      service: 'key-service',
      dataKeyId: row?.id,
      purpose: 'organization',
      organizationId: row?.organization_id,
    };
    expect(kms.requests).toContainEqual({ target: 'TrentService.Encrypt', keyId: KMS_KEY, context });
    const replica = await beside();
    expect((await decrypt(org, replica)).body.key).toBe(SECRET);
    expect(kms.requests).toContainEqual({ target: 'TrentService.Decrypt', keyId: KMS_KEY, context });
    await replica.stop();
  });

  it('is asked once for a data key, and not again while that is in memory', async () => {
    const org = await organizationWithKey();
    const replica = await beside();
    const before = kms.requests.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => decrypt(org, replica)));
    for (let n = 0; n < 5; n += 1) answers.push(await decrypt(org, replica));
    expect(answers.map(({ body }) => body.key)).toEqual(Array(25).fill(SECRET));
    expect(kms.requests).toHaveLength(before + 1);
    await replica.stop();
  });

  it('opens no data key in the place of another', async () => {
    const [one, other] = [await organizationWithKey(), await organizationWithKey()];
    const swap = () =>
      service.sql(
        `update key_service.data_keys d set wrapped = theirs.wrapped from key_service.data_keys theirs
         join key_service.organizations o on o.id = theirs.organization_id
         where o.clerk_org_id = any($1) and d.organization_id <> theirs.organization_id
           and d.organization_id in (select id from key_service.organizations where clerk_org_id = any($1))`,
        [[one, other]],
      );
    await swap();
    for (const org of [one, other]) expectProblem(await decrypt(org), 500, 'provider_key_unreadable');
    await swap();
    for (const org of [one, other]) expect((await decrypt(org)).body.key).toBe(SECRET);
  });

  it('gives way to a key from the environment, to another key in KMS, and comes back', async () => {
    const org = await organizationWithKey();
    const hex = Buffer.alloc(32, 0x5a).toString('hex');
    const names = [`aws-kms://${KMS_KEY}`, hex, `aws-kms://${OTHER_KMS_KEY}`, `aws-kms://${KMS_KEY}`];
    const database = openDatabase({
      server: { url: service.databaseUrl, pooled: false },
      poolMax: 4,
      onIdleConnectionLost: () => {},
    });
    for (const [step, name] of names.entries()) {
      if (step === 0) continue;
      const environment = { ENCRYPTION_KEY: name, ENCRYPTION_KEYS_ACCEPTED: names[step - 1] };
      const { secrets } = loadConfig({ ...service.environment, ...environment });
      const keyring = await openKeyring(secrets);
      const quietly = { runRecorded: unrecorded(database), onBegin: () => {}, onBatch: () => {} };
      const { left, unreadable } = await rewrapDataKeys({ database, keyring, batchSize: 100, ...quietly });
      expect({ left, unreadable }).toEqual({ left: 0, unreadable: [] });
      const replica = await beside({ ENCRYPTION_KEY: name });
      expect((await decrypt(org, replica)).body.key).toBe(SECRET);
      await replica.stop();
    }
    await database.close(1_000);
  });
});

describe.each([
  ['that breaks connections', { down: true }],
  ['that never answers', { hang: true }],
  ['that answers with an error of its own', { error: 'KMSInternalException' }],
  ['that refuses', { error: 'AccessDeniedException' }],
])('AWS KMS %s', (_what, behaviour) => {
  it('503 within 2 s where a data key is not in memory, while all else goes on, and nothing is lost', async () => {
    const [known, unknown] = [await organizationWithKey(), await organizationWithKey()];
    const { key } = await service.issueKey(unknown);
    const replica = await beside();
    expect((await decrypt(known, replica)).status).toBe(200);
    kms.behaviour = behaviour;
    for (const ask of [
      () => decrypt(unknown, replica),
      () => replica.asHolder(key, '/validate/keys/openai'),
      () => replica.saveProviderKey(unknown, 'openai', 'sk-another-not-real-secret'),
      () => replica.saveProviderKey(newOrganization(), 'openai', SECRET),
    ]) {
      const began = performance.now();
      const answer = await ask();
      expect(performance.now() - began).toBeLessThan(2_000);
      expectProblem(answer, 503, 'encryption_unavailable');
      expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    }
    expect((await decrypt(known, replica)).body.key).toBe(SECRET);
    expect((await replica.saveProviderKey(known, 'anthropic', SECRET)).status).toBe(201);
    expect((await replica.asHolder(key, '/validate')).status).toBe(200);
    const { body } = await replica.asService('GET', `/internal/keys?clerkOrgId=${unknown}`);
    expect(body.keys).toMatchObject([{ provider: 'openai', maskedKey: '••••••••', status: 'unavailable', version: 1 }]);
    expect((await replica.request('GET', '/health/ready')).status).toBe(200);
    kms.behaviour = {};
    await expect.poll(async () => (await decrypt(unknown, replica)).body.key, SOON).toBe(SECRET);
    await replica.stop();
  }, 60_000);
});

describe('A start while AWS KMS is away', () => {
  it('serves, is ready, and says what it cannot reach; once KMS is back everything opens', async () => {
    const org = await organizationWithKey();
    const { key } = await service.issueKey(org);
    kms.behaviour = { down: true };
    const replica = await beside();
    expect((await replica.asHolder(key, '/validate')).body.configuredProviders).toEqual(['openai']);
    const ready = await replica.request('GET', '/health/ready');
    expect(ready.status).toBe(200);
    expect(ready.body).toMatchObject({ status: 'ok', checks: { database: 'ok', encryptionKey: 'unavailable' } });
    expect(replica.logLines).toContainEqual(
      expect.objectContaining({ level: 'error', msg: expect.stringContaining('a master key cannot be reached') }),
    );
    expectProblem(await decrypt(org, replica), 503, 'encryption_unavailable');
    // Nothing is changed without its record, which needs a data key to sign with.
    const issue = () => replica.asService('POST', '/internal/api-keys', { clerkOrgId: org });
    expectProblem(await issue(), 503, 'audit_unavailable');
    kms.behaviour = {};
    await expect.poll(async () => (await decrypt(org, replica)).body.key, SOON).toBe(SECRET);
    expect((await issue()).status).toBe(201);
    await expect
      .poll(async () => (await replica.request('GET', '/health/ready')).body.checks.encryptionKey, SOON)
      .toBe('ok');
    await replica.stop();
  }, 60_000);

  it.each(['AccessDeniedException', 'DisabledException'])(
    'ends where KMS refuses the key for good: %s',
    async (error) => {
      kms.behaviour = { error };
      await expect(beside()).rejects.toMatchObject({ name: 'MasterKeyMismatch' });
    },
  );

  it('ends where the database was encrypted with another key', async () => {
    await expect(beside({ ENCRYPTION_KEY: `aws-kms://${OTHER_KMS_KEY}` })).rejects.toThrow(KMS_KEY);
  });
});
