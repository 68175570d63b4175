import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const SETTINGS = {
  name: 'CI',
  expiresAt: '2099-01-01T00:00:00.000Z',
  scopes: ['read:orders'],
  metadata: { team: 'blue', level: 3 },
  ipAllowList: ['127.0.0.0/8', '2001:db8::1'],
  rateLimit: { limit: 1_000_000, windowSeconds: 60 },
};
const CLEARED = { name: null, expiresAt: null, scopes: null, metadata: {}, ipAllowList: null, rateLimit: null };

async function issued(settings: Record<string, unknown> = SETTINGS) {
  const org = newOrganization();
  return { org, ...(await service.issueKey(org, settings)) };
}
type Issued = Awaited<ReturnType<typeof issued>>;

const update = ({ id, org }: Pick<Issued, 'id' | 'org'>, change: Record<string, unknown>, ifMatch?: string) =>
  service.request('PATCH', `/internal/api-keys/${id}`, {
    headers: { 'X-Service-Key': SERVICE_KEY, ...(ifMatch === undefined ? {} : { 'If-Match': ifMatch }) },
    body: { clerkOrgId: org, ...change },
  });
const get = async ({ id, org }: Issued) =>
  (await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`)).body;
const codeOf = async ({ key }: Issued, query = '') => {
  const { status, body } = await service.asHolder(key, `/validate${query}`);
  return status === 200 ? 'valid' : body.code;
};
const updatesOf = async (clerkOrgId: string) =>
  (await listEvents(service, { clerkOrgId, action: 'api_key.updated' })).events.map(({ details }) => details);

describe('PATCH /internal/api-keys/:id', () => {
  describe('200', () => {
    it('answers the item as it is from now on, with its next revision as ETag, and keeps what is left out', async () => {
      const key = await issued();
      const before = await get(key);
      const { status, body, headers } = await update(key, { name: 'Deploy' });
      expect(status).toBe(200);
      expect(body).toEqual({ ...before, name: 'Deploy', revision: 2, updatedAt: body.updatedAt });
      expect(body.updatedAt > before.updatedAt).toBe(true);
      expect(headers.get('etag')).toBe('"2"');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(await get(key)).toEqual(body);
    });

    it.each<[field: string, value: unknown]>([
      ['name', 'n'.repeat(255)],
      ['enabled', false],
      ['expiresAt', '2100-01-01T00:00:00.000Z'],
      ['scopes', []],
      ['scopes', ['write:orders', 'orders:*']],
      ['rateLimit', { limit: 1, windowSeconds: 86_400 }],
      ['metadata', { other: [1, { a: null }] }],
      ['ipAllowList', []],
      ['ipAllowList', ['::1', '10.0.0.0/8']],
    ])('sets %s to what it is given, and nothing else', async (field, value) => {
      const key = await issued();
      const before = await get(key);
      const { body } = await update(key, { [field]: value });
      const status = field === 'enabled' ? 'disabled' : 'active';
      expect(body).toEqual({ ...before, [field]: value, status, revision: 2, updatedAt: body.updatedAt });
    });

    it.each(Object.entries(CLEARED))(
      'clears %s, which is then %j, with null, and nothing else',
      async (field, cleared) => {
        const key = await issued();
        const { body } = await update(key, { [field]: null });
        expect(body).toMatchObject({ ...SETTINGS, [field]: cleared, revision: 2 });
      },
    );

    it('sets and clears all at once', async () => {
      const key = await issued();
      const nothing = { ...CLEARED, metadata: null, enabled: false };
      expect((await update(key, nothing)).body).toMatchObject({ ...CLEARED, enabled: false, revision: 2 });
      expect((await update(key, { ...SETTINGS, enabled: true })).body).toMatchObject({ ...SETTINGS, revision: 3 });
    });

    it.each<[what: string, change: Record<string, unknown>]>([
      ['nothing', {}],
      ['what is so already', { ...SETTINGS, enabled: true }],
      ['metadata in another order of its names', { metadata: { level: 3, team: 'blue' } }],
      ['an instant that is the same in another zone', { expiresAt: '2099-01-01T01:00:00+01:00' }],
    ])('is no change, raises no revision and is not on record where it asks for %s', async (_what, change) => {
      const key = await issued();
      const before = await get(key);
      const { status, body, headers } = await update(key, change);
      expect({ status, body, etag: headers.get('etag') }).toEqual({ status: 200, body: before, etag: '"1"' });
      expect(await updatesOf(key.org)).toEqual([]);
    });

    it('takes the id in upper case too, and shows when the key was last used', async () => {
      const key = await issued();
      expect(await codeOf(key)).toBe('valid');
      await expect.poll(async () => (await get(key)).lastUsedAt).not.toBeNull();
      const { body } = await update({ ...key, id: key.id.toUpperCase() }, { name: 'upper' });
      expect(body).toMatchObject({ id: key.id, name: 'upper', lastUsedAt: (await get(key)).lastUsedAt });
    });

    it('is on record, with what decides about the key and never with what is anybody’s text', async () => {
      const key = await issued();
      await update(key, { name: 'secret project', metadata: { a: 'secret project' } });
      await update(key, { enabled: false, scopes: ['b', 'a'], expiresAt: null });
      const events = await updatesOf(key.org);
      expect(events).toEqual([
        {
          revision: 3,
          changed: ['enabled', 'expiresAt', 'scopes'],
          enabled: false,
          scopes: ['b', 'a'],
          expiresAt: null,
        },
        { revision: 2, changed: ['metadata', 'name'] },
      ]);
    });
  });

  describe('takes effect at once on a key that is answered from memory', () => {
    it('switched off and on', async () => {
      const key = await issued();
      for (const enabled of [false, true, false, true]) {
        expect(await codeOf(key)).toBe(enabled ? 'api_key_disabled' : 'valid');
        await update(key, { enabled });
        expect(await codeOf(key)).toBe(enabled ? 'valid' : 'api_key_disabled');
      }
    }, 10_000);

    it('with other scopes, another name, other metadata and another expiry', async () => {
      const key = await issued();
      expect(await codeOf(key, '?scope=read:orders')).toBe('valid');
      const change = {
        name: 'other',
        scopes: ['write:orders'],
        metadata: { a: [1] },
        expiresAt: '2050-01-01T00:00:00.000Z',
      };
      await update(key, change);
      expect(await codeOf(key, '?scope=read:orders')).toBe('insufficient_scope');
      const { body } = await service.asHolder(key.key, '/validate?scope=write:orders');
      expect(body.apiKey).toEqual({ id: key.id, environment: 'live', ...change });
    });

    it('to the moment at which it shall stop', async () => {
      const key = await issued();
      const stopsAt = Date.now() + 800;
      await update(key, { expiresAt: new Date(stopsAt).toISOString() });
      for (let answered = 0, over = false; !over; answered += 1) {
        const asked = Date.now();
        const code = await codeOf(key);
        over = asked >= stopsAt;
        if (over) expect(code).toBe('api_key_expired');
        else if (Date.now() < stopsAt) expect(code).toBe('valid');
        if (answered > 5_000) throw new Error('The clock stands still');
      }
      expect(await get(key)).toMatchObject({ status: 'expired', expiresAt: new Date(stopsAt).toISOString() });
    });

    it.each([[null], ['2099-01-01T00:00:00.000Z']])(
      'when one that has expired goes on, until %s',
      async (expiresAt) => {
        const key = await issued({ expiresAt: new Date(Date.now() + 300).toISOString() });
        await expect.poll(() => codeOf(key)).toBe('api_key_expired');
        expect((await update(key, { expiresAt })).body).toMatchObject({ status: 'active', expiresAt });
        expect(await codeOf(key)).toBe('valid');
      },
    );
  });

  describe('If-Match', () => {
    it.each<[what: string, header: string]>([
      ['the revision', '"1"'],
      ['any', '*'],
      ['a list that has it', '"7", "1" ,"nothing"'],
      ['a list that has it beside a weak one', 'W/"1","1"'],
    ])('lets a change through for %s', async (_what, header) => {
      expect((await update(await issued(), { name: 'new' }, header)).status).toBe(200);
    });

    it.each<[what: string, header: string]>([
      ['a revision that it had', '"1"'],
      ['a revision that it may come to have', '"3"'],
      ['a weak tag: they are compared strongly', 'W/"2"'],
      ['what is no revision', '"two"'],
      ['the same number written otherwise', '"02"'],
      ['an empty tag', '""'],
    ])('412: stops it for %s, and nothing is changed', async (_what, header) => {
      const key = await issued();
      await update(key, { name: 'second' });
      const answer = await update(key, { name: 'third', enabled: false }, header);
      expectProblem(answer, 412, 'precondition_failed');
      expect(await get(key)).toMatchObject({ name: 'second', revision: 2, enabled: true });
    });

    it('412: stops also what would have changed nothing', async () => {
      const key = await issued();
      expectProblem(await update(key, {}, '"9"'), 412, 'precondition_failed');
    });

    it.each(['1', 'abc', '"1', '1"', '"1" "2"', '"1";', '*, "1"', 'w/"1"', '', '"a b"'])(
      '400: refuses %j, which is no list of entity tags',
      async (header) => {
        const key = await issued();
        const answer = await update(key, { name: 'new' }, header);
        expectProblem(answer, 400, 'invalid_request');
        expect(answer.body.errors).toEqual([{ pointer: '', detail: expect.stringContaining('If-Match') }]);
        expect((await get(key)).revision).toBe(1);
      },
    );

    it('of many changes at once lets exactly one through, and without it none is lost', async () => {
      const key = await issued();
      const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => update(key, { name: `n${n}` }, '"1"')));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array(7).fill(412)]);
      expect(await get(key)).toMatchObject({
        name: answers.find(({ status }) => status === 200)?.body.name,
        revision: 2,
      });
      const fields = [{ name: 'a' }, { enabled: false }, { scopes: ['b'] }, { metadata: { c: 1 } }];
      await Promise.all(fields.map((field) => update(key, field)));
      expect(await get(key)).toMatchObject({ ...Object.assign({}, ...fields), revision: 6 });
      expect((await updatesOf(key.org)).map(({ revision }) => revision)).toEqual([6, 5, 4, 3, 2]);
    });
  });

  describe('403', () => {
    it('keeps callers that are not root from making a list of scopes null, and nothing else of scopes', async () => {
      const { as } = await newServiceCaller(service, { permissions: ['api-keys:write'] });
      const key = await issued();
      const path = `/internal/api-keys/${key.id}`;
      const answer = await as('PATCH', path, { clerkOrgId: key.org, name: 'new', scopes: null });
      expectProblem(answer, 403, 'service_key_forbidden');
      expect(await get(key)).toMatchObject({ ...SETTINGS, revision: 1 });
      for (const scopes of [[], ['a:*']]) {
        expect((await as('PATCH', path, { clerkOrgId: key.org, scopes })).body.scopes).toEqual(scopes);
      }
      expectProblem(await as('PATCH', path, { clerkOrgId: key.org, scopes: null }), 403, 'service_key_forbidden');
      expect((await update(key, { scopes: null })).body.scopes).toBeNull();
      // It is null already, so that this is no change.
      expect((await as('PATCH', path, { clerkOrgId: key.org, name: 'new', scopes: null })).status).toBe(200);
    });
  });

  describe('404', () => {
    it('knows no key of another organisation, no unknown id and no malformed one, and changes nothing', async () => {
      const [key, theirs] = [await issued(), await issued()];
      for (const which of [
        { ...theirs, org: key.org },
        { ...key, org: newOrganization() },
        { ...key, id: '01890000-0000-7000-8000-000000000000' },
        { ...key, id: 'not-a-uuid' },
      ]) {
        expectProblem(await update(which, { name: 'new' }, '"1"'), 404, 'api_key_not_found');
      }
      expect((await get(theirs)).revision).toBe(1);
    });
  });

  describe('409', () => {
    it('refuses whatever would be changed of a key that was revoked, which stays so', async () => {
      const key = await issued();
      await service.asService('DELETE', `/internal/api-keys/${key.id}?clerkOrgId=${key.org}`);
      const before = await get(key);
      for (const change of [{}, { name: 'new' }, { enabled: true }, { expiresAt: null }]) {
        expectProblem(await update(key, change, '"1"'), 409, 'api_key_ended');
      }
      expect(await get(key)).toEqual(before);
      expect(await codeOf(key)).toBe('api_key_revoked');
    });

    it('refuses it for an organisation that has ended', async () => {
      const key = await issued();
      await service.asService('DELETE', `/internal/organizations/${key.org}`);
      expectProblem(await update(key, { name: 'new' }), 409, 'organization_deleted');
    });
  });
});
