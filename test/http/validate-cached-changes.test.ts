import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

/** For what this replica learns from the database: within milliseconds, on a machine that does nothing else. */
const SOON = { timeout: 5_000, interval: 5 };

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const validate = (key: string) => service.asHolder(key, '/validate');
const codeOf = async (key: string) => {
  const { status, body } = await validate(key);
  return status === 200 ? 'valid' : body.code;
};

/** A key that has been validated, so that memory has it. */
async function knownKey(org = newOrganization()) {
  const { key, id } = await service.issueKey(org);
  expect((await validate(key)).status).toBe(200);
  return { key, id, org };
}

describe('a change that this replica makes, from its answer on', () => {
  it('refuses a key that was revoked, while it is validated all the time', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { key, id, org } = await knownKey();
      let revoked = false;
      const others = Array.from({ length: 10 }, async () => {
        while (!revoked) await validate(key);
      });
      const { status } = await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      const next = await validate(key);
      revoked = true;
      await Promise.all(others);
      expect(status).toBe(200);
      expectProblem(next, 401, 'api_key_revoked');
      expectProblem(await validate(key), 401, 'api_key_revoked');
    }
  });

  it('names the providers that have a key', async () => {
    const { key, org } = await knownKey();
    const other = await knownKey(org);
    const providers = async () => {
      const answers = await Promise.all([validate(key), validate(other.key)]);
      return answers.map(({ body }) => body.configuredProviders);
    };
    for (let round = 0; round < 5; round += 1) {
      await service.saveProviderKey(org, 'openai', `not-a-real-one-${round}`);
      expect(await providers()).toEqual([['openai'], ['openai']]);
      await service.saveProviderKey(org, 'anthropic', `not-a-real-one-${round}`);
      expect(await providers()).toEqual(Array(2).fill(['anthropic', 'openai']));
      await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
      expect(await providers()).toEqual([['anthropic'], ['anthropic']]);
      await service.asService('DELETE', `/internal/keys/anthropic?clerkOrgId=${org}`);
      expect(await providers()).toEqual([[], []]);
    }
  });

  it('accepts a key that was issued', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { key } = await service.issueKey(newOrganization());
      expect(await codeOf(key)).toBe('valid');
    }
  });
});

describe('a change past the service, soon', () => {
  it('is seen when a key is switched off and on', async () => {
    const { key, id } = await knownKey();
    for (let round = 0; round < 3; round += 1) {
      await service.sql('update key_service.api_keys set enabled = false where id = $1', [id]);
      await expect.poll(() => codeOf(key), SOON).toBe('api_key_disabled');
      await service.sql('update key_service.api_keys set enabled = true where id = $1', [id]);
      await expect.poll(() => codeOf(key), SOON).toBe('valid');
    }
  });

  it('is seen when a key is revoked, and none when that is rolled back', async () => {
    const { key, id } = await knownKey();
    await service.sql(`begin; update key_service.api_keys set revoked_at = now() where id = '${id}'; rollback`);
    expect(await codeOf(key)).toBe('valid');
    await service.sql('update key_service.api_keys set revoked_at = now() where id = $1', [id]);
    await expect.poll(() => codeOf(key), SOON).toBe('api_key_revoked');
  });

  it('is seen when the row of a key is deleted', async () => {
    const { key, id } = await knownKey();
    // Its use is written a moment later, and would stand in the way.
    const uses = () => service.sql('select 1 from key_service.api_key_uses where api_key_id = $1', [id]);
    await expect.poll(uses, SOON).toHaveLength(1);
    await service.sql(
      `with uses as (delete from key_service.api_key_uses where api_key_id = $1)
       delete from key_service.api_keys where id = $1`,
      [id],
    );
    await expect.poll(() => codeOf(key), SOON).toBe('api_key_invalid');
  });

  it('is seen when a key appears that was asked for before', async () => {
    const { org } = await knownKey();
    const key = `legacy-${randomUUID()}`;
    expect([await codeOf(key), await codeOf(key)]).toEqual(['api_key_invalid', 'api_key_invalid']);
    await service.sql(
      `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment)
       select gen_random_uuid(), id, $2, 'legacy-', 'last', 'live' from key_service.organizations where clerk_org_id = $1`,
      [org, createHash('sha256').update(key).digest()],
    );
    await expect.poll(() => codeOf(key), SOON).toBe('valid');
  });

  it('is seen when the hash of a key becomes that of another', async () => {
    const { key, id } = await knownKey();
    const other = `legacy-${randomUUID()}`;
    expect(await codeOf(other)).toBe('api_key_invalid');
    const hash = createHash('sha256').update(other).digest();
    await service.sql('update key_service.api_keys set key_hash = $2 where id = $1', [id, hash]);
    await expect.poll(() => codeOf(key), SOON).toBe('api_key_invalid');
    await expect.poll(() => codeOf(other), SOON).toBe('valid');
  });

  it('is seen when an organisation is called another name, and when its providers change', async () => {
    const { key, org } = await knownKey();
    await service.saveProviderKey(org, 'openai', 'not-a-real-one');
    expect((await validate(key)).body.configuredProviders).toEqual(['openai']);
    const name = newOrganization();
    await service.sql('update key_service.organizations set clerk_org_id = $2 where clerk_org_id = $1', [org, name]);
    await expect.poll(async () => (await validate(key)).body.clerkOrgId, SOON).toBe(name);
    await service.sql("update key_service.provider_keys set deleted_at = now() where provider = 'openai'");
    await expect.poll(async () => (await validate(key)).body.configuredProviders, SOON).toEqual([]);
  });

  it('is seen when every key is gone at once', async () => {
    const known = [await knownKey(), await knownKey()];
    await service.sql('truncate key_service.api_keys cascade');
    for (const { key } of known) await expect.poll(() => codeOf(key), SOON).toBe('api_key_invalid');
  });
});

describe('the member of an organisation', () => {
  let clerk: ClerkStandIn;
  let withClerk: TestService;
  beforeAll(async () => {
    clerk = await startClerkStandIn();
    withClerk = await startService({ environment: { ...clerk.environment, CLERK_STALE_MAX_MS: '50' } });
  });
  afterAll(async () => {
    await withClerk.stop();
    await clerk.close();
  });

  it('is in the answer as Clerk knows it now, though the key is answered from memory', async () => {
    const org = newOrganization();
    const { key } = await withClerk.issueKey(org);
    for (const userId of ['user_fake_1', 'user_fake_22', null, 'user_fake_333']) {
      clerk.members.set(org, userId === null ? [] : [userId]);
      await expect
        .poll(async () => (await withClerk.asHolder(key, '/validate')).body, SOON)
        .toMatchObject({ valid: true, clerkUserId: userId, membership: 'fresh' });
    }
  });
});
