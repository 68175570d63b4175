import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltService, productionEnvironment, startBuiltService } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { createTestDatabase } from '../support/test-database.ts';

/** For what the other process learns from the database: within milliseconds, on a machine that does nothing else. */
const SOON = { timeout: 5_000, interval: 5 };

let replicas: [BuiltService, BuiltService];
let database: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  database = await createTestDatabase();
  const environment = productionEnvironment(database.url);
  replicas = [await startBuiltService(environment), await startBuiltService(environment)];
}, 60_000);
afterAll(async () => {
  for (const { end } of replicas) await end();
  await database.drop();
});

const codeOf = async (replica: BuiltService, key: string, query = '') => {
  const { status, body } = await replica.asHolder(key, `/validate${query}`);
  return status === 200 ? 'valid' : body.code;
};

/** A key that both processes answer from memory. */
async function knownKey(settings: Record<string, unknown> = {}) {
  const org = newOrganization();
  const { id, key } = await replicas[0].issueKey(org, settings);
  for (const replica of replicas) for (let n = 0; n < 3; n += 1) expect(await codeOf(replica, key)).toBe('valid');
  return { org, id, key };
}

describe('What one process changes of an API key, the other', () => {
  it('does: it is switched off and on, and restricted', async () => {
    const { org, id, key } = await knownKey();
    const [here, there] = replicas;
    const update = async (change: Record<string, unknown>) => {
      const { status } = await here.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, ...change });
      expect(status).toBe(200);
    };
    for (let round = 0; round < 5; round += 1) {
      await update({ enabled: false });
      await expect.poll(() => codeOf(there, key), SOON).toBe('api_key_disabled');
      await update({ enabled: true });
      await expect.poll(() => codeOf(there, key), SOON).toBe('valid');
    }
    await update({ scopes: ['read:orders'] });
    await expect.poll(() => codeOf(there, key, '?scope=write:orders'), SOON).toBe('insufficient_scope');
    expect(await codeOf(there, key, '?scope=read:orders')).toBe('valid');
  });

  it('stops at its new expiry', async () => {
    const { org, id, key } = await knownKey();
    const [here, there] = replicas;
    const stopsAt = Date.now() + 1_500;
    const body = { clerkOrgId: org, expiresAt: new Date(stopsAt).toISOString() };
    expect((await here.asService('PATCH', `/internal/api-keys/${id}`, body)).status).toBe(200);
    await expect.poll(() => codeOf(there, key), SOON).toBe('api_key_expired');
    expect(Date.now()).toBeGreaterThanOrEqual(stopsAt);
    // Not much later either: neither waits for the database to tell it.
    expect(Date.now()).toBeLessThan(stopsAt + 1_000);
  });

  it('knows when it is rotated: the old one stops at once, or after its grace, and the new one is good', async () => {
    const [here, there] = replicas;
    for (const gracePeriodSeconds of [0, 1]) {
      const { org, id, key } = await knownKey();
      const body = { clerkOrgId: org, gracePeriodSeconds };
      const answer = await here.asService('POST', `/internal/api-keys/${id}/rotate`, body);
      expect(answer.status).toBe(201);
      expect(await codeOf(there, answer.body.key)).toBe('valid');
      await expect
        .poll(() => codeOf(there, key), SOON)
        .toBe(gracePeriodSeconds === 0 ? 'api_key_revoked' : 'api_key_expired');
      expect(await codeOf(there, answer.body.key)).toBe('valid');
    }
  });

  it('changes too, at the same time, and no change is lost', async () => {
    const { org, id } = await knownKey();
    const fields = [{ name: 'a' }, { enabled: false }, { scopes: ['b'] }, { metadata: { c: 1 } }];
    const answers = await Promise.all(
      fields.map((field, index) =>
        (replicas[index % 2] as BuiltService).asService('PATCH', `/internal/api-keys/${id}`, {
          clerkOrgId: org,
          ...field,
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const { body } = await replicas[1].asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expect(body).toMatchObject({ ...Object.assign({}, ...fields), revision: 5 });
  });
});
