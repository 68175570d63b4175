import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changesArrived } from '../support/changes-arrived.ts';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const SOON = { timeout: 5_000, interval: 5 };

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0', CACHE_LEASE_MS: '60000' } });
});
afterAll(() => service.stop());

const reveal = (key: string, provider = 'openai') => service.asHolder(key, `/validate/keys/${provider}`);
/** What is revealed, or why nothing is. */
const revealed = async (key: string, provider?: string) => {
  const { status, body } = await reveal(key, provider);
  return status === 200 ? body.key : body.code;
};

/** An organisation whose key for openai has been revealed, so that memory has it. */
async function knownHolder() {
  const org = newOrganization();
  const { key, id } = await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', 'not-a-real-one-1');
  await changesArrived(service);
  expect(await revealed(key)).toBe('not-a-real-one-1');
  const [row] = await service.sql<{ id: string }>(
    `select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
     where o.clerk_org_id = $1`,
    [org],
  );
  return { org, key, id, providerKeyId: row?.id };
}

describe('GET /validate/keys/:provider of a key that was revealed before', () => {
  it('asks the database nothing, nor that there is none', async () => {
    const { key } = await knownHolder();
    expect(await revealed(key, 'anthropic')).toBe('provider_key_not_found');
    await service.sql('alter table key_service.provider_keys rename to provider_keys_away');
    try {
      for (let n = 0; n < 5; n += 1) {
        expect(await revealed(key)).toBe('not-a-real-one-1');
        expect(await revealed(key, 'anthropic')).toBe('provider_key_not_found');
      }
      expect((await reveal(key, 'mistral')).status).toBeGreaterThanOrEqual(500);
    } finally {
      await service.sql('alter table key_service.provider_keys_away rename to provider_keys');
    }
    expect(await revealed(key, 'mistral')).toBe('provider_key_not_found');
  });

  it('hands out the new one from the moment that its saving was answered', async () => {
    const { org, key } = await knownHolder();
    for (let version = 2; version <= 10; version += 1) {
      await service.saveProviderKey(org, 'openai', `not-a-real-one-${version}`);
      expect((await reveal(key)).body).toMatchObject({ key: `not-a-real-one-${version}`, version });
    }
  });

  it('is a 404 from the moment that its deletion was answered, and 200 once one is saved again', async () => {
    const { org, key } = await knownHolder();
    for (let round = 2; round <= 5; round += 1) {
      await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
      expectProblem(await reveal(key), 404, 'provider_key_not_found');
      expectProblem(await reveal(key), 404, 'provider_key_not_found');
      await service.saveProviderKey(org, 'openai', `not-a-real-one-${round}`);
      expect(await revealed(key)).toBe(`not-a-real-one-${round}`);
    }
  });

  it('is a 401 from the moment that the API key was revoked', async () => {
    const { org, key, id } = await knownHolder();
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    const answer = await reveal(key);
    expectProblem(answer, 401, 'api_key_revoked');
    expect(answer.text).not.toContain('not-a-real-one');
  });

  it('is a 404 soon after its row was deleted past the service', async () => {
    const { key, providerKeyId } = await knownHolder();
    await service.sql('update key_service.provider_keys set deleted_at = now() where id = $1', [providerKeyId]);
    await expect.poll(() => revealed(key), SOON).toBe('provider_key_not_found');
  });

  it('is not remembered as unreadable: it is read again once it has been mended', async () => {
    const { key, providerKeyId } = await knownHolder();
    const flip = `update key_service.provider_key_versions
      set sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1) where provider_key_id = $1`;
    for (let round = 0; round < 3; round += 1) {
      await service.sql(flip, [providerKeyId]);
      await expect.poll(() => revealed(key), SOON).toBe('provider_key_unreadable');
      expect(await revealed(key)).toBe('provider_key_unreadable');
      await service.sql(flip, [providerKeyId]);
      await expect.poll(() => revealed(key), SOON).toBe('not-a-real-one-1');
    }
  });

  it('does not open with the data key in memory once the stored one was altered', async () => {
    const { key, providerKeyId } = await knownHolder();
    const flip = `update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)
      where id = (select data_key_id from key_service.provider_key_versions where provider_key_id = $1)`;
    await service.sql(flip, [providerKeyId]);
    await expect.poll(() => revealed(key), SOON).toBe('provider_key_unreadable');
    await service.sql(flip, [providerKeyId]);
    await expect.poll(() => revealed(key), SOON).toBe('not-a-real-one-1');
  });
});
