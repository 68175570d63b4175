import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { changesArrived } from '../support/changes-arrived.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { providerKeyHistory, range } from '../support/provider-key-history.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';
const POOL_MAX = 4;

const providers = new ScriptedChecker();
let service: TestService;
beforeAll(async () => {
  service = await startService({
    providerChecker: providers,
    environment: { METRICS_PORT: '0', DATABASE_POOL_MAX: String(POOL_MAX) },
  });
});
afterEach(() => {
  providers.release();
  providers.outcome = 'valid';
  providers.asked.length = 0;
});
afterAll(() => service.stop());

const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

async function savedKey(...secrets: string[]) {
  const org = newOrganization();
  const key = providerKeyHistory(service, org);
  for (const secret of secrets) await key.save(secret);
  return { org, key };
}

describe('POST /internal/keys/:provider/check', () => {
  describe('200', () => {
    it.each(['valid', 'rejected', 'unreachable'] as const)(
      'asks the provider with the stored key, and stores %s with the time',
      async (outcome) => {
        const { key } = await savedKey(SECRET);
        providers.outcome = outcome;
        const before = Date.now();
        const { status, body } = await key.check();
        expect({ status, body }).toEqual({
          status: 200,
          body: { provider: 'openai', version: 1, outcome, status: outcome, lastCheckedAt: instant },
        });
        expect(providers.asked).toEqual([{ provider: 'openai', secret: SECRET }]);
        expect(new Date(body.lastCheckedAt).getTime()).toBeGreaterThanOrEqual(before);
        const shown = { status: outcome, lastCheckedAt: body.lastCheckedAt };
        expect(await key.listed()).toMatchObject(shown);
        expect((await key.versions()).body.versions).toMatchObject([shown]);
        expect((await key.reveal()).body.key).toBe(SECRET);
      },
    );

    it('stores nothing where the provider cannot be asked', async () => {
      const { key } = await savedKey(SECRET);
      await key.check();
      const before = await key.listed();
      providers.outcome = 'unchecked';
      const { status, body } = await key.check();
      expect({ status, body }).toEqual({
        status: 200,
        body: { provider: 'openai', version: 1, outcome: 'unchecked', status: 'valid', lastCheckedAt: instant },
      });
      expect(await key.listed()).toEqual(before);
    });

    it('changes nothing of the versions before', async () => {
      const { key } = await savedKey('not-a-real-secret-1');
      await key.check();
      await key.save('not-a-real-secret-2');
      providers.outcome = 'rejected';
      await key.check();
      expect((await key.versions()).body.versions).toMatchObject([
        { version: 2, status: 'rejected' },
        { version: 1, status: 'valid' },
      ]);
    });

    it('leaves a version alone that was saved while the provider was asked about the one before', async () => {
      const { key } = await savedKey('not-a-real-secret-1');
      providers.hold();
      providers.outcome = 'rejected';
      const check = key.check();
      await expect.poll(() => providers.waiting).toBe(1);
      await key.save('not-a-real-secret-2');
      providers.release();
      expect((await check).body).toMatchObject({ version: 1, outcome: 'rejected' });
      expect((await key.versions()).body.versions).toMatchObject([
        { version: 2, current: true, status: 'unchecked', lastCheckedAt: null },
        { version: 1, current: false, status: 'rejected', lastCheckedAt: instant },
      ]);
    });

    it('takes a provider that does not answer for one that cannot be reached, within two seconds', async () => {
      const { key } = await savedKey(SECRET);
      providers.hold();
      const { answer, tookMs } = await timed(() => key.check());
      expect(tookMs).toBeLessThan(2_000);
      expect(answer.body).toMatchObject({ outcome: 'unreachable', status: 'unreachable', lastCheckedAt: instant });
      expect(await key.listed()).toMatchObject({ status: 'unreachable' });
    });

    it('holds no database connection while providers are asked', async () => {
      const keys: Awaited<ReturnType<typeof savedKey>>[] = [];
      for (const _ of range(1, POOL_MAX + 2)) keys.push(await savedKey(SECRET));
      providers.hold();
      const checks = keys.map(({ key }) => key.check());
      await expect.poll(() => providers.waiting).toBe(keys.length);
      const { answer, tookMs } = await timed(() => Promise.all(keys.map(({ key }) => key.reveal())));
      expect(answer.map(({ status }) => status)).toEqual(keys.map(() => 200));
      expect(tookMs).toBeLessThan(1_000);
      providers.release();
      for (const { status, body } of await Promise.all(checks)) {
        expect({ status, outcome: body.outcome }).toEqual({ status: 200, outcome: 'valid' });
      }
    });

    it('is no use of the key', async () => {
      const { key } = await savedKey(SECRET);
      await key.check();
      // A use is written within 50 ms.
      await sleep(200);
      expect((await key.listed())['lastUsedAt']).toBeNull();
    });

    it('makes no replica forget anything: nothing is answered with what is known of a key', async () => {
      const { key } = await savedKey(SECRET);
      const told = async () =>
        (await metricsOf(service)).value('key_service_changes_total', { kind: 'organization-changed' });
      await changesArrived(service);
      const before = await told();
      await key.check();
      await changesArrived(service);
      expect(await told()).toBe(before);
    });
  });

  describe('400', () => {
    it.each<[what: string, pointer: string, body: unknown]>([
      ['no body', '', undefined],
      ['no clerkOrgId', '/clerkOrgId', {}],
      ['an unknown field', '/version', { clerkOrgId: 'org_a', version: 1 }],
    ])('refuses %s', async (_what, pointer, body) => {
      expectInvalid(await service.asService('POST', '/internal/keys/openai/check', body), pointer);
    });

    it('refuses a provider in upper case', async () => {
      const answer = await service.asService('POST', '/internal/keys/OpenAI/check', { clerkOrgId: 'org_a' });
      expectInvalid(answer, '/provider');
    });
  });

  describe('404', () => {
    it('is the answer without a key: nobody is asked, and no organisation made known', async () => {
      const org = newOrganization();
      expectProblem(await providerKeyHistory(service, org).check(), 404, 'provider_key_not_found');
      const { key } = await savedKey(SECRET);
      await key.remove();
      expectProblem(await key.check(), 404, 'provider_key_not_found');
      expect(providers.asked).toEqual([]);
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    });

    it('is the answer when the key was deleted while its provider was asked', async () => {
      const { key } = await savedKey(SECRET);
      providers.hold();
      const check = key.check();
      await expect.poll(() => providers.waiting).toBe(1);
      await key.remove();
      providers.release();
      expectProblem(await check, 404, 'provider_key_version_not_found');
      expect(await key.sealed()).toEqual([]);
    });
  });

  describe('500', () => {
    it('is the answer for a key that does not open, and nobody is asked', async () => {
      const { key, org } = await savedKey(SECRET);
      await service.sql(
        `update key_service.provider_key_versions set sealed = ''::bytea where provider_key_id in
         (select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
          where o.clerk_org_id = $1)`,
        [org],
      );
      expectProblem(await key.check(), 500, 'provider_key_unreadable');
      expect(providers.asked).toEqual([]);
    });
  });

  describe('503', () => {
    it('is the answer when too many checks are under way: what was known of the key stays', async () => {
      const { key } = await savedKey(SECRET);
      await key.check();
      const before = await key.listed();
      providers.outcome = 'busy';
      const answer = await key.check();
      expectProblem(answer, 503, 'overloaded');
      expect(answer.headers.get('retry-after')).toBe('1');
      expect(await key.listed()).toEqual(before);
    });

    it('is the answer of a database that is slow to record it: the provider is not asked, nor called unreachable', async () => {
      const { key, org } = await savedKey(SECRET);
      const [chain] = await service.sql('select id from key_service.organizations where clerk_org_id = $1', [org]);
      const lock = `select 1 from key_service.audit_chains where chain = '${chain?.['id']}' for update`;
      const held = service.sql(`begin; ${lock}; select pg_sleep(0.95); commit`);
      await expect
        .poll(
          () =>
            service.sql("select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"),
          { interval: 5 },
        )
        .toHaveLength(1);
      providers.hold();
      const check = timed(() => key.check());
      await Promise.race([check, expect.poll(() => providers.waiting, { timeout: 2_000 }).toBe(1)]);
      await sleep(400);
      providers.release();
      const { answer, tookMs } = await check;
      expectProblem(answer, 503, 'audit_unavailable');
      expect(tookMs).toBeLessThan(2_000);
      await held;
      expect(providers.asked).toEqual([]);
      expect(await key.listed()).toMatchObject({ status: 'unchecked', lastCheckedAt: null });
    });
  });
});
