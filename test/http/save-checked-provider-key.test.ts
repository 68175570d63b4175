import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { providerKeyHistory } from '../support/provider-key-history.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';

const providers = new ScriptedChecker();
let service: TestService;
beforeAll(async () => {
  service = await startService({ providerChecker: providers });
});
afterEach(() => {
  providers.release();
  providers.outcome = 'valid';
  providers.asked.length = 0;
});
afterAll(() => service.stop());

const save = (clerkOrgId: string, apiKey = SECRET, settings: Record<string, unknown> = { check: true }) =>
  service.asService('POST', '/internal/keys', { clerkOrgId, provider: 'openai', apiKey, ...settings });

describe('POST /internal/keys with check', () => {
  describe('201 and 200', () => {
    it('asks the provider about the key as it would be stored, and stores it as valid', async () => {
      const org = newOrganization();
      const { status, body } = await save(org, `  ${SECRET}\n`);
      expect({ status, body }).toEqual({
        status: 201,
        body: {
          provider: 'openai',
          maskedKey: 'sk-n••••3f9Q',
          version: 1,
          status: 'valid',
          message: expect.stringMatching(/\S/),
        },
      });
      expect(providers.asked).toEqual([{ provider: 'openai', secret: SECRET }]);
      const listed = await providerKeyHistory(service, org).listed();
      expect(listed).toMatchObject({ status: 'valid', lastCheckedAt: expect.stringMatching(/Z$/) });
    });

    it.each<[what: string, settings: Record<string, unknown>]>([
      ['check is left out', {}],
      ['check is false', { check: false }],
    ])('asks nobody when %s', async (_what, settings) => {
      const org = newOrganization();
      const { status, body } = await save(org, SECRET, settings);
      expect({ status, shown: body.status }).toEqual({ status: 201, shown: 'unchecked' });
      expect(providers.asked).toEqual([]);
      const listed = await providerKeyHistory(service, org).listed();
      expect(listed).toMatchObject({ status: 'unchecked', lastCheckedAt: null });
    });

    it('stores a key whose provider cannot be reached as unreachable', async () => {
      const org = newOrganization();
      providers.outcome = 'unreachable';
      expect((await save(org)).body).toMatchObject({ version: 1, status: 'unreachable' });
      const listed = await providerKeyHistory(service, org).listed();
      expect(listed).toMatchObject({ status: 'unreachable', lastCheckedAt: expect.stringMatching(/Z$/) });
    });

    it('stores a key whose provider cannot be asked as unchecked', async () => {
      const org = newOrganization();
      providers.outcome = 'unchecked';
      expect((await save(org)).body).toMatchObject({ version: 1, status: 'unchecked' });
      expect(await providerKeyHistory(service, org).listed()).toMatchObject({ lastCheckedAt: null });
    });

    it('stores a key as unchecked when too many checks are under way; of the current value nothing is noted', async () => {
      const org = newOrganization();
      providers.outcome = 'busy';
      expect((await save(org)).body).toMatchObject({ version: 1, status: 'unchecked' });
      const key = providerKeyHistory(service, org);
      expect(await key.listed()).toMatchObject({ status: 'unchecked', lastCheckedAt: null });
      providers.outcome = 'valid';
      await save(org);
      const before = await key.listed();
      providers.outcome = 'busy';
      expect((await save(org)).body).toMatchObject({ version: 1, status: 'valid' });
      expect(await key.listed()).toEqual(before);
    });

    it('stores a key whose provider does not answer as unreachable, within two seconds', async () => {
      const org = newOrganization();
      providers.hold();
      const { answer, tookMs } = await timed(() => save(org));
      expect({ status: answer.status, shown: answer.body.status }).toEqual({ status: 201, shown: 'unreachable' });
      expect(tookMs).toBeLessThan(2_000);
      expect((await providerKeyHistory(service, org).reveal()).body.key).toBe(SECRET);
    });

    it('holds no connection and no lock while the provider is asked: the same key can be saved meanwhile', async () => {
      const org = newOrganization();
      const key = providerKeyHistory(service, org);
      await key.save('not-a-real-secret-1');
      providers.hold();
      const checked = save(org, 'not-a-real-secret-3');
      await expect.poll(() => providers.waiting).toBe(1);
      expect((await key.save('not-a-real-secret-2')).body.version).toBe(2);
      providers.release();
      expect((await checked).body).toMatchObject({ version: 3, status: 'valid' });
    });

    it('makes no version of the current value, and notes what the provider says of it', async () => {
      const org = newOrganization();
      const key = providerKeyHistory(service, org);
      await key.save(SECRET);
      const again = await save(org);
      expect({ status: again.status, body: again.body }).toMatchObject({
        status: 200,
        body: { version: 1, status: 'valid' },
      });
      expect(await key.listed()).toMatchObject({ version: 1, status: 'valid' });
    });

    it('tells what is known of the current value when it is saved again unchecked', async () => {
      const org = newOrganization();
      await save(org);
      expect((await save(org, SECRET, {})).body).toMatchObject({ version: 1, status: 'valid' });
      providers.outcome = 'unchecked';
      expect((await save(org)).body).toMatchObject({ version: 1, status: 'valid' });
    });

    it('notes it too when many save the same value at once', async () => {
      const org = newOrganization();
      const answers = await Promise.all(Array.from({ length: 10 }, () => save(org)));
      for (const { body } of answers) expect(body).toMatchObject({ version: 1, status: 'valid' });
      expect(await providerKeyHistory(service, org).listed()).toMatchObject({ version: 1, status: 'valid' });
    });

    it('is known no more of the next value, and again of the one that is rolled back to', async () => {
      const org = newOrganization();
      const key = providerKeyHistory(service, org);
      await save(org, 'not-a-real-secret-1');
      const { lastCheckedAt } = await key.listed();
      await key.save('not-a-real-secret-2');
      expect(await key.listed()).toMatchObject({ status: 'unchecked', lastCheckedAt: null });
      expect((await key.rollback(1)).body.status).toBe('valid');
      expect(await key.listed()).toMatchObject({ version: 3, status: 'valid', lastCheckedAt });
    });
  });

  describe('400', () => {
    it.each([null, 'true', 1, {}])('refuses check: %j, and asks nobody', async (check) => {
      expectInvalid(await save(newOrganization(), SECRET, { check }), '/check');
      expect(providers.asked).toEqual([]);
    });
  });

  describe('422', () => {
    it('is the answer to a key that the provider rejects; of it nothing is stored', async () => {
      const org = newOrganization();
      providers.outcome = 'rejected';
      const answer = await save(org);
      expectProblem(answer, 422, 'provider_key_rejected');
      expect(answer.text).not.toContain(SECRET);
      const key = providerKeyHistory(service, org);
      expect([await key.listed(), (await key.versions()).body.versions, await key.sealed()]).toEqual([{}, [], []]);
      const rows = await service.sql(
        `select 1 from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
         where o.clerk_org_id = $1`,
        [org],
      );
      expect(rows).toEqual([]);
      expect(JSON.stringify(service.logLines)).not.toContain(SECRET);
    });

    it('leaves the key that is stored as it is', async () => {
      const org = newOrganization();
      const key = providerKeyHistory(service, org);
      await save(org, 'not-a-real-secret-1');
      const before = [await key.sealed(), await key.listed()];
      providers.outcome = 'rejected';
      expectProblem(await save(org, 'not-a-real-secret-2'), 422, 'provider_key_rejected');
      expect([await key.sealed(), await key.listed()]).toEqual(before);
    });

    it('is the answer too when the rejected key is the stored one, which shows as rejected from then on', async () => {
      const org = newOrganization();
      const key = providerKeyHistory(service, org);
      await key.save(SECRET);
      providers.outcome = 'rejected';
      expectProblem(await save(org), 422, 'provider_key_rejected');
      expect(await key.listed()).toMatchObject({ version: 1, status: 'rejected' });
      expect((await key.reveal()).body.key).toBe(SECRET);
    });
  });
});
