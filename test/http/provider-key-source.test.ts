import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changesArrived } from '../support/changes-arrived.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectInvalid, expectProblem, wholeAnswer } from '../support/problem.ts';
import { providerKeyHistory } from '../support/provider-key-history.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted } from '../support/webhooks.ts';

const OWN = 'sk-not-a-real-secret-of-the-organisation';
const PLATFORMS = 'sk-not-a-real-secret-of-the-platform';
const SOURCES = ['own', 'platform', 'own-then-platform'] as const;

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0' } });
});
afterAll(() => service.stop());

/** An organisation, its API key, and a provider that no other test knows, with the keys of it that are wanted. */
async function given({ own = false, platforms = false } = {}) {
  const org = newOrganization();
  const provider = `provider-${randomBytes(6).toString('hex')}`;
  const { key: apiKey } = await service.issueKey(org);
  const ownKey = providerKeyHistory(service, org, provider);
  const platformKey = providerKeyHistory(service, null, provider);
  if (own) await ownKey.save(OWN);
  if (platforms) await platformKey.save(PLATFORMS);
  const path = `/internal/keys/${provider}/source`;
  return {
    org,
    provider,
    ownKey,
    platformKey,
    set: (source: unknown) => service.asService('PUT', path, { clerkOrgId: org, source }),
    end: () => service.asService('DELETE', `/internal/organizations/${org}`),
    get: () => service.asService('GET', `${path}?clerkOrgId=${org}`),
    /** What a service is handed. */
    async handed() {
      const { status, body } = await ownKey.reveal();
      return status === 200 ? [body.source, body.key] : body.code;
    },
    /** What the holder of the organisation's API key is handed. */
    async revealed() {
      const { status, body } = await service.asHolder(apiKey, `/validate/keys/${provider}`);
      return status === 200 ? [body.source, body.key] : body.code;
    },
    configured: async () => (await service.asHolder(apiKey, '/validate')).body.configuredProviders,
  };
}

const NONE = 'provider_key_not_found';
const own = ['own', OWN];
const platforms = ['platform', PLATFORMS];

describe('PUT /internal/keys/:provider/source', () => {
  describe('200', () => {
    it.each<
      [source: (typeof SOURCES)[number] | 'not set', none: unknown, both: unknown, own: unknown, platforms: unknown]
    >([
      ['not set', NONE, own, own, NONE],
      ['own', NONE, own, own, NONE],
      ['platform', NONE, platforms, NONE, platforms],
      ['own-then-platform', NONE, own, own, platforms],
    ])(
      '%s: decides what a service is handed for the organisation',
      async (source, none, both, onlyOwn, onlyPlatforms) => {
        for (const [keys, expected] of [
          [{}, none],
          [{ own: true, platforms: true }, both],
          [{ own: true }, onlyOwn],
          [{ platforms: true }, onlyPlatforms],
        ] as const) {
          const there = await given(keys);
          if (source !== 'not set') expect((await there.set(source)).status).toBe(200);
          expect(await there.handed(), JSON.stringify(keys)).toEqual(expected);
        }
      },
    );

    it.each(SOURCES)("%s: the holder of an API key is handed the organisation's own key or none", async (source) => {
      const both = await given({ own: true, platforms: true });
      const onlyPlatforms = await given({ platforms: true });
      await both.set(source);
      await onlyPlatforms.set(source);
      expect(await both.revealed()).toEqual(own);
      expect(await onlyPlatforms.revealed()).toBe(NONE);
      expect(await both.configured()).toEqual([both.provider]);
      expect(await onlyPlatforms.configured()).toEqual([]);
    });

    it('answers with what was set, which GET tells from then on', async () => {
      const there = await given();
      for (const source of ['platform', 'own-then-platform', 'own', 'platform']) {
        const { status, body } = await there.set(source);
        expect({ status, body }).toEqual({ status: 200, body: { provider: there.provider, source } });
        expect((await there.get()).body).toEqual({ provider: there.provider, source });
      }
    });

    it('counts for this provider and organisation alone', async () => {
      const there = await given({ own: true, platforms: true });
      const other = await given({ own: true, platforms: true });
      await there.set('platform');
      expect(await other.handed()).toEqual(own);
      await providerKeyHistory(service, there.org, other.provider).save(OWN);
      expect((await providerKeyHistory(service, there.org, other.provider).reveal()).body.source).toBe('own');
    });

    it('writes nothing for the same source again', async () => {
      const there = await given();
      await there.set('platform');
      const rows = () =>
        service.sql('select *, xmin::text from key_service.provider_key_sources where provider = $1', [there.provider]);
      const before = await rows();
      await there.set('platform');
      expect(await rows()).toEqual(before);
    });

    it('makes an organisation known only where there is something to say of it', async () => {
      const [unknown, known] = [newOrganization(), newOrganization()];
      const path = '/internal/keys/openai/source';
      const isKnown = async (org: string) =>
        (await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).length > 0;
      await service.asService('PUT', path, { clerkOrgId: unknown, source: 'own' });
      await service.asService('GET', `${path}?clerkOrgId=${unknown}`);
      await service.asService('PUT', path, { clerkOrgId: known, source: 'platform' });
      expect([await isKnown(unknown), await isKnown(known)]).toEqual([false, true]);
    });

    it('is set once by fifty who set it at once', async () => {
      const there = await given({ platforms: true });
      const answers = await Promise.all(Array.from({ length: 50 }, () => there.set('platform')));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(await there.handed()).toEqual(platforms);
    });

    it('outlives both keys', async () => {
      const there = await given({ own: true, platforms: true });
      await there.set('own-then-platform');
      await there.ownKey.remove();
      expect(await there.handed()).toEqual(platforms);
      await there.platformKey.remove();
      expect(await there.handed()).toBe(NONE);
      await there.ownKey.save(OWN);
      expect(await there.handed()).toEqual(own);
    });

    it("does not go on with the platform's key where the organisation's own does not open, or is rejected", async () => {
      const there = await given({ own: true, platforms: true });
      await there.set('own-then-platform');
      await there.ownKey.report(1, 'rejected');
      expect(await there.handed()).toEqual(own);
      await service.sql(
        `update key_service.provider_key_versions set sealed = ''::bytea where provider_key_id in
         (select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
          where o.clerk_org_id = $1)`,
        [there.org],
      );
      expect(await there.handed()).toBe('provider_key_unreadable');
    });

    it('leaves nobody with neither key while it changes', async () => {
      const there = await given({ own: true, platforms: true });
      let over = false;
      const asking = Array.from({ length: 4 }, async () => {
        const handed = new Set<string>();
        while (!over) handed.add(JSON.stringify(await there.handed()));
        return handed;
      });
      for (let round = 0; round < 30; round += 1) await there.set(SOURCES[round % 3]);
      over = true;
      for (const handed of await Promise.all(asking)) {
        for (const outcome of handed) expect([JSON.stringify(own), JSON.stringify(platforms)]).toContain(outcome);
      }
    });
  });

  describe('of an organisation that has ended', () => {
    it("hands nothing out, is 409 to set, and is destroyed with the organisation's secrets", async () => {
      const there = await given({ own: true, platforms: true });
      await there.set('platform');
      await there.end();
      expect(await there.handed()).toBe(NONE);
      expect((await there.get()).body.source).toBe('own');
      for (const source of ['own-then-platform', 'platform', 'own']) {
        expectProblem(await there.set(source), 409, 'organization_deleted');
      }
      const report = await there.ownKey.report(1, 'rejected', { source: 'platform' });
      expectProblem(report, 409, 'organization_deleted');
      expect(
        await service.sql('select 1 from key_service.provider_key_sources where provider = $1', [there.provider]),
      ).toEqual([]);
      expect(await there.platformKey.listed()).toMatchObject({ status: 'unchecked' });
    });

    it("hands nothing out either while Clerk's word is waited on, and lives again with it", async () => {
      const there = await given({ platforms: true });
      await there.set('own-then-platform');
      expect(await there.handed()).toEqual(platforms);
      await organizationDeleted(service, there.org);
      expect(await there.handed()).toBe(NONE);
      for (const source of ['platform', 'own']) {
        expectProblem(await there.set(source), 409, 'organization_deleted');
      }
      await service.sql(
        'update key_service.organizations set ended_at = null, destroy_after = null, due_at = null where clerk_org_id = $1',
        [there.org],
      );
      expect(await there.handed()).toEqual(platforms);
    });

    it('is refused by the database too', async () => {
      const there = await given();
      await there.end();
      const insert = service.sql(
        `insert into key_service.provider_key_sources (organization_id, provider, source)
         select id, 'openai', 'platform' from key_service.organizations where clerk_org_id = $1`,
        [there.org],
      );
      await expect(insert).rejects.toThrow('the organisation has ended');
    });
  });

  describe('its changes', () => {
    const told = async () =>
      (await metricsOf(service)).value('key_service_changes_total', { kind: 'organization-changed' }) ?? 0;

    it('are announced, each of them once more by this replica itself, and what changes nothing is not', async () => {
      const there = await given();
      for (const [source, announced] of [
        ['own', 0],
        ['platform', 2],
        ['platform', 0],
        ['own-then-platform', 2],
        ['own', 2],
        ['own', 0],
      ] as const) {
        await changesArrived(service);
        const before = await told();
        await there.set(source);
        await changesArrived(service);
        expect((await told()) - before, source).toBe(announced);
      }
    });

    it.each([
      [
        'inserted',
        "insert into key_service.provider_key_sources (organization_id, provider, source) values ($1, 'other', 'platform')",
      ],
      [
        'updated',
        "update key_service.provider_key_sources set source = 'own-then-platform' where organization_id = $1",
      ],
      ['deleted', 'delete from key_service.provider_key_sources where organization_id = $1'],
    ])('are announced by the database too, where a row is %s with SQL', async (_how, statement) => {
      const there = await given();
      await there.set('platform');
      const [organization] = await service.sql<{ id: string }>(
        'select id from key_service.organizations where clerk_org_id = $1',
        [there.org],
      );
      await changesArrived(service);
      const before = await told();
      await service.sql(statement, [organization?.id]);
      await changesArrived(service);
      expect((await told()) - before).toBe(1);
    });
  });

  describe('400', () => {
    const valid = { clerkOrgId: 'org_a', source: 'own' };
    it.each<[what: string, pointer: string, change: Record<string, unknown>]>([
      ['no clerkOrgId', '/clerkOrgId', { clerkOrgId: undefined }],
      ['no source', '/source', { source: undefined }],
      ['a source that there is not', '/source', { source: 'platform-then-own' }],
      ['a source that is no text', '/source', { source: null }],
      ['an unknown field', '/provider', { provider: 'openai' }],
    ])('refuses %s', async (_what, pointer, change) => {
      expectInvalid(await service.asService('PUT', '/internal/keys/openai/source', { ...valid, ...change }), pointer);
    });

    it('refuses a provider in upper case', async () => {
      expectInvalid(await service.asService('PUT', '/internal/keys/OpenAI/source', valid), '/provider');
    });
  });
});

describe('GET /internal/keys/:provider/source', () => {
  it('200: is own unless it was set, for an organisation that is not known too', async () => {
    const { status, body } = await service.asService(
      'GET',
      `/internal/keys/openai/source?clerkOrgId=${newOrganization()}`,
    );
    expect({ status, body }).toEqual({ status: 200, body: { provider: 'openai', source: 'own' } });
  });

  it('400: refuses a request that names no organisation', async () => {
    expectInvalid(await service.asService('GET', '/internal/keys/openai/source'), '/clerkOrgId');
  });
});

describe('GET /internal/keys/:provider/decrypt', () => {
  it("404: tells nobody whether the platform has a key that the organisation's source does not name", async () => {
    const [without, withPlatforms] = [await given(), await given({ platforms: true })];
    const answers = await Promise.all(
      [without, withPlatforms].map(({ provider, org }) =>
        service.request('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`, {
          headers: { 'X-API-Key': service.environment['KEY_SERVICE_API_KEY'] ?? '', 'X-Request-Id': 'one-id' },
        }),
      ),
    );
    for (const answer of answers) expectProblem(answer, 404, 'provider_key_not_found');
    const [first, second] = answers.map(wholeAnswer);
    expect(second).toEqual(first);
  });
});
