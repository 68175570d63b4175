import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { providerKeyHistory, range } from '../support/provider-key-history.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';

const providers = new ScriptedChecker();
let service: TestService;
beforeAll(async () => {
  service = await startService({ providerChecker: providers });
});
afterAll(() => service.stop());

async function keyWith(versions: number) {
  const org = newOrganization();
  const key = providerKeyHistory(service, org);
  for (const version of range(1, versions)) await key.save(`not-a-real-secret-${version}`);
  return { org, key };
}

/** The transactions that wrote an organisation's versions: any write at all changes it. */
const writesOf = (org: string) =>
  service.sql(
    `select v.version, v.xmin::text from key_service.provider_key_versions v
     join key_service.provider_keys k on k.id = v.provider_key_id
     join key_service.organizations o on o.id = k.organization_id where o.clerk_org_id = $1 order by v.version`,
    [org],
  );

describe('POST /internal/keys/:provider/report', () => {
  describe('200', () => {
    it.each(['rejected', 'rate_limited'])('shows the version as %s, and goes on handing it out', async (outcome) => {
      const { key } = await keyWith(1);
      const { status, body } = await key.report(1, outcome);
      expect({ status, body }).toEqual({
        status: 200,
        body: { provider: 'openai', version: 1, status: outcome, lastCheckedAt: null },
      });
      expect(await key.listed()).toMatchObject({ version: 1, status: outcome, lastCheckedAt: null });
      expect((await key.reveal()).body).toMatchObject({ key: 'not-a-real-secret-1', version: 1 });
    });

    it('of an earlier version changes that one alone', async () => {
      const { key } = await keyWith(3);
      expect((await key.report(2, 'rejected')).status).toBe(200);
      expect(await key.listed()).toMatchObject({ version: 3, status: 'unchecked' });
      const { versions } = (await key.versions()).body;
      expect(versions.map((version: { status: string }) => version.status)).toEqual([
        'unchecked',
        'rejected',
        'unchecked',
      ]);
    });

    it('writes nothing the second time', async () => {
      const { org, key } = await keyWith(2);
      await key.report(2, 'rejected');
      const before = await writesOf(org);
      for (const answer of await Promise.all(range(1, 20).map(() => key.report(2, 'rejected')))) {
        expect(answer.body).toMatchObject({ version: 2, status: 'rejected' });
      }
      expect(await writesOf(org)).toEqual(before);
    });

    it('writes once when fifty callers report the same at once', async () => {
      const { org, key } = await keyWith(1);
      await service.sql(`create table key_service.writes (version integer);
        create function key_service.count_write() returns trigger language plpgsql as
          $$ begin insert into key_service.writes values (new.version); return null; end $$;
        create trigger count_write after update on key_service.provider_key_versions
          for each row execute function key_service.count_write()`);
      try {
        const answers = await Promise.all(range(1, 50).map(() => key.report(1, 'rate_limited')));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        expect(await service.sql('select * from key_service.writes')).toEqual([{ version: 1 }]);
      } finally {
        await service.sql(`drop trigger count_write on key_service.provider_key_versions;
          drop function key_service.count_write; drop table key_service.writes`);
      }
      expect(await writesOf(org)).toHaveLength(1);
    });

    it('gives way to the next report and the next check, and keeps the time of the last check', async () => {
      const { key } = await keyWith(1);
      providers.outcome = 'valid';
      const { lastCheckedAt } = (await key.check()).body;
      for (const outcome of ['rate_limited', 'rejected', 'rate_limited']) {
        expect((await key.report(1, outcome)).body.status).toBe(outcome);
        expect(await key.listed()).toMatchObject({ status: outcome, lastCheckedAt });
      }
      await key.check();
      expect(await key.listed()).toMatchObject({ status: 'valid' });
    });

    it('is kept by a check of a provider that cannot be asked', async () => {
      const { key } = await keyWith(1);
      await key.report(1, 'rejected');
      providers.outcome = 'unchecked';
      expect((await key.check()).body).toMatchObject({ outcome: 'unchecked', status: 'rejected', lastCheckedAt: null });
      expect(await key.listed()).toMatchObject({ status: 'rejected' });
    });

    it('is about the version: the next value is not concerned, and one that is rolled back to is', async () => {
      const { key } = await keyWith(1);
      await key.report(1, 'rejected');
      await key.save('not-a-real-secret-2');
      expect(await key.listed()).toMatchObject({ version: 2, status: 'unchecked' });
      await key.rollback(1);
      expect(await key.listed()).toMatchObject({ version: 3, status: 'rejected' });
    });
  });

  describe("200, of the platform's key that was handed out for an organisation", () => {
    const given = async (source: string) => {
      const provider = `provider-${randomBytes(6).toString('hex')}`;
      const org = newOrganization();
      const [own, platforms] = [
        providerKeyHistory(service, org, provider),
        providerKeyHistory(service, null, provider),
      ];
      await own.save('not-a-real-secret-of-theirs');
      await platforms.save('not-a-real-secret-of-the-platform');
      await service.asService('PUT', `/internal/keys/${provider}/source`, { clerkOrgId: org, source });
      return { own, platforms };
    };

    it.each(['platform', 'own-then-platform'])(
      "is noted of the platform's alone where the source is %s",
      async (source) => {
        const { own, platforms } = await given(source);
        const { status, body } = await own.report(1, 'rate_limited', { source: 'platform' });
        expect({ status, shown: body.status }).toEqual({ status: 200, shown: 'rate_limited' });
        expect(await platforms.listed()).toMatchObject({ status: 'rate_limited' });
        expect(await own.listed()).toMatchObject({ status: 'unchecked' });
        await own.report(1, 'rejected', { source: 'own' });
        expect(await platforms.listed()).toMatchObject({ status: 'rate_limited' });
        expect(await own.listed()).toMatchObject({ status: 'rejected' });
      },
    );

    it("is 404 where the organisation's source does not name it, and nothing is noted", async () => {
      const { own, platforms } = await given('own');
      expectProblem(await own.report(1, 'rejected', { source: 'platform' }), 404, 'provider_key_not_found');
      expect(await platforms.listed()).toMatchObject({ status: 'unchecked' });
      expect(await own.listed()).toMatchObject({ status: 'unchecked' });
    });

    it('is 404 for a version that is not kept, and for a key that is not there', async () => {
      const { own, platforms } = await given('platform');
      expectProblem(await own.report(2, 'rejected', { source: 'platform' }), 404, 'provider_key_version_not_found');
      await platforms.remove();
      expectProblem(await own.report(1, 'rejected', { source: 'platform' }), 404, 'provider_key_not_found');
    });
  });

  describe('400', () => {
    const valid = { clerkOrgId: 'org_a', version: 1, outcome: 'rejected' };
    it.each<[what: string, pointer: string, change: Record<string, unknown>]>([
      ['no clerkOrgId', '/clerkOrgId', { clerkOrgId: undefined }],
      ['no version', '/version', { version: undefined }],
      ['version 0', '/version', { version: 0 }],
      ['a version beyond all numbers of the database', '/version', { version: 2_147_483_648 }],
      ['no outcome', '/outcome', { outcome: undefined }],
      ['an outcome that only a check finds', '/outcome', { outcome: 'valid' }],
      ['an outcome that is no text', '/outcome', { outcome: ['rejected'] }],
      ['a source that hands nothing out', '/source', { source: 'own-then-platform' }],
      ['an unknown field', '/reason', { reason: 'x' }],
    ])('refuses %s', async (_what, pointer, change) => {
      expectInvalid(await service.asService('POST', '/internal/keys/openai/report', { ...valid, ...change }), pointer);
    });

    it('refuses a provider in upper case', async () => {
      expectInvalid(await service.asService('POST', '/internal/keys/OpenAI/report', valid), '/provider');
    });
  });

  describe('404', () => {
    it('is provider_key_not_found without a key, and makes no organisation known', async () => {
      const org = newOrganization();
      expectProblem(await providerKeyHistory(service, org).report(1, 'rejected'), 404, 'provider_key_not_found');
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
      const { key } = await keyWith(1);
      await key.remove();
      expectProblem(await key.report(1, 'rejected'), 404, 'provider_key_not_found');
    });

    it('is provider_key_version_not_found for a version that is not kept', async () => {
      const { key } = await keyWith(11);
      for (const version of [1, 12]) {
        expectProblem(await key.report(version, 'rejected'), 404, 'provider_key_version_not_found');
      }
    });
  });
});
