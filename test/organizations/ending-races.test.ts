import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted } from '../support/webhooks.ts';

const ROUNDS = 12;

const replicas: TestService[] = [];
let service: TestService;
let other: TestService;
beforeAll(async () => {
  service = await startService();
  other = await startService({ beside: service, environment: service.environment });
  replicas.push(service, other);
});
afterAll(async () => {
  for (const replica of replicas.toReversed()) await replica.stop();
});

const ends = {
  'a service ends it': (org: string) => other.asService('DELETE', `/internal/organizations/${org}`),
  'Clerk deletes it': (org: string) => organizationDeleted(other, org),
};

describe.each(Object.entries(ends))('while %s', (_what, end) => {
  it('keys that are issued are either refused or revoked, on every replica, once the end is answered', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const org = newOrganization();
      if (round % 2 === 0) await service.issueKey(org);
      const issuing = Array.from({ length: 6 }, (_, n) =>
        [service, other][n % 2]?.asService('POST', '/internal/api-keys', { clerkOrgId: org }),
      );
      const ended = await end(org);
      expect(ended.status).toBe(200);
      for (const answer of await Promise.all(issuing)) {
        expect([201, 409]).toContain(answer?.status);
        if (answer?.status !== 201) continue;
        for (const replica of replicas) {
          await expect
            .poll(async () => (await replica.asHolder(answer.body.key, '/validate')).body.code)
            .toBe('api_key_revoked');
        }
      }
      const [row] = await service.sql(
        `select count(*)::int as good from key_service.api_keys k join key_service.organizations o
         on o.id = k.organization_id where o.clerk_org_id = $1 and k.revoked_at is null`,
        [org],
      );
      expect(row).toEqual({ good: 0 });
    }
  });

  it('secrets that are saved are either refused or out of every answer, and nobody waits for ever', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const org = newOrganization();
      if (round % 2 === 0) await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-before');
      const saving = Array.from({ length: 6 }, (_, n) =>
        [service, other][n % 2]?.saveProviderKey(org, n < 3 ? 'openai' : `provider-${n}`, `sk-not-a-real-key-${n}`),
      );
      const ended = await end(org);
      expect(ended.status).toBe(200);
      for (const answer of await Promise.all(saving)) expect([200, 201, 409]).toContain(answer?.status);
      expect((await service.asService('GET', `/internal/keys?clerkOrgId=${org}`)).body.keys).toEqual([]);
      await service.asService('DELETE', `/internal/organizations/${org}`);
      const [left] = await service.sql(
        `select (select count(*)::int from key_service.data_keys d where d.organization_id = o.id) as data_keys,
           (select count(*)::int from key_service.provider_key_versions v
             join key_service.provider_keys k on k.id = v.provider_key_id where k.organization_id = o.id) as secrets
         from key_service.organizations o where o.clerk_org_id = $1`,
        [org],
      );
      expect(left).toEqual({ data_keys: 0, secrets: 0 });
    }
  });

  it('a key that every replica has in memory is refused by all of them', async () => {
    const org = newOrganization();
    const { key } = await service.issueKey(org);
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
    for (const replica of replicas) expect((await replica.asHolder(key, '/validate/keys/openai')).status).toBe(200);
    await end(org);
    expect((await other.asHolder(key, '/validate')).status).toBe(401);
    await expect.poll(async () => (await service.asHolder(key, '/validate/keys/openai')).status).toBe(401);
  });
});

it('ends and destructions at once are one end and one destruction', async () => {
  const org = newOrganization();
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) => {
      const end = n % 2 === 0 ? ends['a service ends it'] : ends['Clerk deletes it'];
      return end(org);
    }),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
  const destroyed = answers.filter((_, n) => n % 2 === 0).map(({ body }) => body);
  expect(destroyed).toEqual(Array(5).fill(destroyed[0]));
  expect(destroyed[0].destroyed).toMatchObject({ secrets: 1, dataKeys: [expect.any(String)] });
});

it('data keys are locked in the order of their ids, as whoever rolls them locks them', async () => {
  const org = newOrganization();
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
  // The first by its id, and behind the other one where the table keeps them.
  const first = '00000000-0000-7000-8000-000000000000';
  const [second] = await service.sql<{ id: string }>(
    `with current as (
       select d.* from key_service.data_keys d join key_service.organizations o on o.id = d.organization_id
       where o.clerk_org_id = $1
     ), retired as (
       insert into key_service.data_keys (id, purpose, organization_id, master_key_id, wrapped, retired_at)
       select $2, purpose, organization_id, master_key_id, wrapped, now() from current
     )
     select id from current`,
    [org, first],
  );
  const roll = new pg.Client({ connectionString: service.databaseUrl });
  await roll.connect();
  try {
    const lock = 'select 1 from key_service.data_keys where id = $1 for update nowait';
    await roll.query('begin');
    await roll.query(lock, [first]);
    const ending = ends['a service ends it'](org);
    await expect
      .poll(() =>
        service.sql(
          "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query ~ 'data_keys'",
        ),
      )
      .toHaveLength(1);
    await roll.query(lock, [second?.id]);
    await roll.query('commit');
    expect((await ending).body.destroyed.dataKeys).toEqual([first, second?.id]);
  } finally {
    await roll.end();
  }
});
