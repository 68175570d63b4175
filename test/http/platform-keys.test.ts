import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { changesArrived } from '../support/changes-arrived.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { providerKeyHistory, range } from '../support/provider-key-history.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';

const providers = new ScriptedChecker();
let service: TestService;
beforeAll(async () => {
  service = await startService({ providerChecker: providers, environment: { METRICS_PORT: '0' } });
});
afterEach(() => {
  providers.outcome = 'valid';
});
afterAll(() => service.stop());

/** A provider that no other test knows, and the platform's key of it. */
function newPlatformKey() {
  const provider = `provider-${randomBytes(6).toString('hex')}`;
  return { provider, key: providerKeyHistory(service, null, provider) };
}

describe('/internal/platform-keys', () => {
  describe('200 and 201', () => {
    it('stores, lists, reveals and destroys a key in the shapes of organisations', async () => {
      const { provider, key } = newPlatformKey();
      const saved = await key.save(SECRET);
      expect({ status: saved.status, body: saved.body }).toEqual({
        status: 201,
        body: {
          provider,
          maskedKey: 'sk-n••••3f9Q',
          version: 1,
          status: 'unchecked',
          message: expect.stringMatching(/\S/),
        },
      });
      expect(await key.listed()).toEqual({
        provider,
        maskedKey: 'sk-n••••3f9Q',
        version: 1,
        status: 'unchecked',
        createdAt: expect.stringMatching(/Z$/),
        updatedAt: expect.stringMatching(/Z$/),
        lastUsedAt: null,
        lastCheckedAt: null,
      });
      const { status, body } = await key.reveal();
      expect({ status, body }).toEqual({
        status: 200,
        body: { provider, key: SECRET, version: 1, source: 'platform' },
      });
      await expect.poll(async () => (await key.listed())['lastUsedAt'], { timeout: 5_000 }).toMatch(/Z$/);
      expect((await key.remove()).body).toMatchObject({ provider, deleted: true });
      expect((await key.remove()).body).toMatchObject({ provider, deleted: false });
      expect(await key.sealed()).toEqual([]);
      expectProblem(await key.reveal(), 404, 'provider_key_not_found');
      expect((await key.save(SECRET)).body.version).toBe(2);
    });

    it('has a history and a state as those of organisations have', async () => {
      const { provider, key } = newPlatformKey();
      for (const n of range(1, 11)) await key.save(`not-a-real-secret-${n}`);
      expect((await key.sealed()).map(({ version }) => version)).toEqual(range(2, 11));
      expect((await key.rollback(5)).body).toMatchObject({ provider, version: 12 });
      expect((await key.reveal()).body.key).toBe('not-a-real-secret-5');
      expect((await key.report(12, 'rate_limited')).body.status).toBe('rate_limited');
      providers.outcome = 'rejected';
      expect((await key.check()).body).toMatchObject({ provider, version: 12, outcome: 'rejected' });
      expect(providers.asked.at(-1)).toEqual({ provider, secret: 'not-a-real-secret-5' });
      expectProblem(await key.save('not-a-real-secret-12', { check: true }), 422, 'provider_key_rejected');
      const { versions } = (await key.versions()).body;
      expect(versions).toHaveLength(10);
      expect(versions[0]).toMatchObject({ version: 12, current: true, status: 'rejected' });
      expectProblem(await key.rollback(1), 404, 'provider_key_version_not_found');
    });

    it('seals it with the system data key, which counts the seals', async () => {
      const { provider, key } = newPlatformKey();
      await key.save(SECRET);
      const [row] = await service.sql(
        `select d.purpose, k.organization_id, d.seals > 0 as counted from key_service.provider_key_versions v
         join key_service.provider_keys k on k.id = v.provider_key_id
         join key_service.data_keys d on d.id = v.data_key_id where k.provider = $1`,
        [provider],
      );
      expect(row).toEqual({ purpose: 'system', organization_id: null, counted: true });
    });

    it('makes one row of a provider, however many are the first to save it', async () => {
      const { provider, key } = newPlatformKey();
      const answers = await Promise.all(range(1, 50).map((n) => key.save(`not-a-real-secret-${n}`)));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(49).fill(200), 201]);
      expect(new Set(answers.map(({ body }) => body.version)).size).toBe(50);
      const rows = await service.sql('select 1 from key_service.provider_keys where provider = $1', [provider]);
      expect(rows).toHaveLength(1);
    });

    it("is in no organisation's list, and makes none known", async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'other', SECRET);
      const { provider, key } = newPlatformKey();
      const before = await service.sql('select id from key_service.organizations order by id');
      await key.save(SECRET);
      const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
      expect(body.keys.map((listed: { provider: string }) => listed.provider)).toEqual(['other']);
      expect(await service.sql('select id from key_service.organizations order by id')).toEqual(before);
      expect(await providerKeyHistory(service, org, provider).listed()).toEqual({});
    });

    it('sorts them by provider', async () => {
      for (const n of range(1, 3)) await newPlatformKey().key.save(`not-a-real-secret-${n}`);
      const { body } = await service.asService('GET', '/internal/platform-keys');
      const names = body.keys.map(({ provider }: { provider: string }) => provider);
      expect(names.length).toBeGreaterThanOrEqual(3);
      expect(names).toEqual(names.toSorted());
    });
  });

  describe('its changes', () => {
    it('are announced as its own, and make no replica forget what it remembers of organisations', async () => {
      const { key } = newPlatformKey();
      const told = async (kind: string) => (await metricsOf(service)).value('key_service_changes_total', { kind }) ?? 0;
      await changesArrived(service);
      const before = {
        organizations: await told('organization-changed'),
        everything: await told('everything-changed'),
      };
      for (const change of [
        () => key.save(SECRET),
        () => key.save('not-a-real-secret'),
        () => key.rollback(1),
        key.remove,
      ]) {
        const own = await told('platform-key-changed');
        await change();
        // By this replica itself, and by the database.
        await expect.poll(() => told('platform-key-changed'), { timeout: 5_000 }).toBeGreaterThanOrEqual(own + 2);
      }
      expect(await told('organization-changed')).toBe(before.organizations);
      expect(await told('everything-changed')).toBe(before.everything);
    });
  });

  describe('its rows, changed with SQL', () => {
    it.each([
      [
        'its version is altered',
        "update key_service.provider_key_versions set sealed = ''::bytea where provider_key_id = $1",
      ],
      ['its version is deleted', 'delete from key_service.provider_key_versions where provider_key_id = $1'],
      ['it is marked as deleted', 'update key_service.provider_keys set deleted_at = now() where id = $1'],
    ])('are announced: %s', async (_how, statement) => {
      const { provider, key } = newPlatformKey();
      await key.save(SECRET);
      const [row] = await service.sql<{ id: string }>('select id from key_service.provider_keys where provider = $1', [
        provider,
      ]);
      const told = async () =>
        (await metricsOf(service)).value('key_service_changes_total', { kind: 'platform-key-changed' }) ?? 0;
      await changesArrived(service);
      const before = await told();
      await service.sql(statement, [row?.id]);
      await changesArrived(service);
      expect((await told()) - before).toBe(1);
    });
  });

  describe('400', () => {
    it.each<[what: string, method: string, path: string, body: unknown, pointer: string]>([
      ['an organisation', 'POST', '', { clerkOrgId: 'org_a', provider: 'openai', apiKey: 'x' }, '/clerkOrgId'],
      ['a provider in upper case', 'POST', '', { provider: 'OpenAI', apiKey: 'x' }, '/provider'],
      ['no apiKey', 'POST', '', { provider: 'openai' }, '/apiKey'],
      ['no version to roll back to', 'POST', '/openai/rollback', {}, '/version'],
      ['an organisation to roll back', 'POST', '/openai/rollback', { version: 1, clerkOrgId: 'org_a' }, '/clerkOrgId'],
      ['an organisation to check', 'POST', '/openai/check', { clerkOrgId: 'org_a' }, '/clerkOrgId'],
      ['no outcome', 'POST', '/openai/report', { version: 1 }, '/outcome'],
      ['a provider in upper case to destroy', 'DELETE', '/OpenAI', undefined, '/provider'],
      ['a provider in upper case to reveal', 'GET', '/OpenAI/decrypt', undefined, '/provider'],
    ])('refuses %s', async (_what, method, path, body, pointer) => {
      expectInvalid(await service.asService(method, `/internal/platform-keys${path}`, body), pointer);
    });
  });

  describe('401', () => {
    it('is all that the holder of an API key gets', async () => {
      const { provider, key } = newPlatformKey();
      await key.save(SECRET);
      const { key: apiKey } = await service.issueKey(newOrganization());
      for (const path of ['', `/${provider}/decrypt`, `/${provider}/versions`]) {
        const answer = await service.asHolder(apiKey, `/internal/platform-keys${path}`);
        expectProblem(answer, 401, 'service_key_invalid');
        expect(answer.text).not.toContain(SECRET);
      }
    });
  });

  describe('404', () => {
    it.each(['rollback', 'check', 'report'] as const)('is the answer of %s without a key', async (verb) => {
      const { key } = newPlatformKey();
      const answers = { rollback: () => key.rollback(1), check: key.check, report: () => key.report(1, 'rejected') };
      expectProblem(await answers[verb](), 404, 'provider_key_not_found');
    });
  });

  describe('a sealed key of the platform', () => {
    it('does not open as that of an organisation, nor the other way round', async () => {
      const { provider, key } = newPlatformKey();
      const org = newOrganization();
      const own = providerKeyHistory(service, org, provider);
      await key.save(SECRET);
      await own.save('not-a-real-secret-of-theirs');
      await service.sql(
        `update key_service.provider_key_versions v set sealed = w.sealed, data_key_id = w.data_key_id
         from key_service.provider_keys k, key_service.provider_keys l, key_service.provider_key_versions w
         where v.provider_key_id = k.id and w.provider_key_id = l.id and k.provider = $1 and l.provider = $1 and k.id <> l.id`,
        [provider],
      );
      expectProblem(await key.reveal(), 500, 'provider_key_unreadable');
      expectProblem(await own.reveal(), 500, 'provider_key_unreadable');
      expect(await key.listed()).toMatchObject({ status: 'unreadable', maskedKey: '••••••••' });
    });

    it("does not open either where its row was made an organisation's", async () => {
      const { provider, key } = newPlatformKey();
      const org = newOrganization();
      await service.saveProviderKey(org, 'other', SECRET);
      await key.save(SECRET);
      await service.sql(
        `update key_service.provider_keys set organization_id =
         (select id from key_service.organizations where clerk_org_id = $1) where provider = $2`,
        [org, provider],
      );
      expectProblem(await providerKeyHistory(service, org, provider).reveal(), 500, 'provider_key_unreadable');
    });
  });
});
