import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasWrongChecksum } from '../../src/key-format.ts';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const DAY = 24 * 60 * 60;

interface Key {
  org: string;
  id: string;
  key: string;
}

/** One that has been validated, so that memory has it. */
async function issued(settings: Record<string, unknown> = {}): Promise<Key> {
  const org = newOrganization();
  const { id, key } = await service.issueKey(org, settings);
  expect(await codeOf({ key })).toBe('valid');
  return { org, id, key };
}
const rotate = ({ org, id }: Pick<Key, 'org' | 'id'>, body: Record<string, unknown> = {}) =>
  service.asService('POST', `/internal/api-keys/${id}/rotate`, { clerkOrgId: org, ...body });
async function rotated(old: Key, gracePeriodSeconds?: number): Promise<Key> {
  const { status, body } = await rotate(old, gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds });
  expect(status).toBe(201);
  return { org: old.org, id: body.id, key: body.key };
}
const codeOf = async ({ key }: Pick<Key, 'key'>) => {
  const { status, body } = await service.asHolder(key, '/validate');
  return status === 200 ? 'valid' : body.code;
};
const codesOf = (...keys: Key[]) => Promise.all(keys.map(codeOf));
const get = async ({ id, org }: Key) =>
  (await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`)).body;
const update = ({ id, org }: Key, change: Record<string, unknown>) =>
  service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, ...change });
const revoke = ({ id, org }: Key) => service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
const idsListed = async (org: string) => {
  const { body } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
  return body.keys.map(({ id }: { id: string }) => id);
};
/** Seconds from now until an instant. */
const inSeconds = (instant: string) => (Date.parse(instant) - Date.now()) / 1_000;

describe('POST /internal/api-keys/:id/rotate', () => {
  describe('201', () => {
    it.each(['live', 'test'])(
      'issues a key of the environment %s with all settings of the old one',
      async (environment) => {
        const settings = {
          name: 'CI',
          scopes: ['read:orders'],
          metadata: { team: 'blue' },
          ipAllowList: ['127.0.0.0/8', '2001:db8::/32'],
          expiresAt: '2099-01-01T00:00:00.000Z',
          rateLimit: { limit: 100, windowSeconds: 60 },
        };
        const old = await issued({ ...settings, environment });
        const before = await get(old);
        const { status, body } = await rotate(old);
        expect(status).toBe(201);
        expect(body).toEqual({
          ...settings,
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          key: expect.stringMatching(new RegExp(`^ks_${environment}_[0-9A-Za-z]{49}$`)),
          keyPrefix: body.key.slice(0, 12),
          last4: body.key.slice(-4),
          message: expect.stringMatching(/\S/),
          status: 'active',
          enabled: true,
          environment,
          createdAt: expect.stringMatching(/Z$/),
          lastUsedAt: null,
          revokedAt: null,
          recoverable: false,
          rotatedFrom: old.id,
          rotatedTo: null,
          remainingUses: null,
          refill: null,
          previous: expect.objectContaining({ id: old.id, status: 'revoked', rotatedFrom: null, rotatedTo: body.id }),
        });
        expect(body.id).not.toBe(old.id);
        expect(hasWrongChecksum('ks', body.key)).toBe(false);
        const { revokedAt } = body.previous;
        const after = { status: 'revoked', revokedAt, updatedAt: revokedAt, revision: 2, rotatedTo: body.id };
        // That it was used is written with the next flush.
        await expect
          .poll(() => get(old), { timeout: 10_000 })
          .toEqual({ ...before, ...after, lastUsedAt: expect.anything() });
      },
    );

    it('stops the old key at once, for good, and takes it out of the list, when no time of grace is given', async () => {
      for (const grace of [undefined, 0]) {
        const old = await issued();
        const next = await rotated(old, grace);
        expect(await codesOf(old, next)).toEqual(['api_key_revoked', 'valid']);
        expect(await idsListed(old.org)).toEqual([next.id]);
      }
    });

    it('lets the old key go on for the time of grace, and not a moment longer, though memory has it', async () => {
      const old = await issued();
      const next = await rotated(old, 1);
      const { expiresAt } = await get(old);
      expect(inSeconds(expiresAt)).toBeLessThanOrEqual(1);
      expect(inSeconds(expiresAt)).toBeGreaterThan(0);
      for (let over = false; !over; ) {
        const asked = Date.now();
        const [code, codeOfNext] = await codesOf(old, next);
        over = asked >= Date.parse(expiresAt);
        if (over) expect(code).toBe('api_key_expired');
        else if (Date.now() < Date.parse(expiresAt)) expect(code).toBe('valid');
        expect(codeOfNext).toBe('valid');
      }
      expect(await get(old)).toMatchObject({ status: 'expired', revokedAt: null });
      expect((await get(next)).expiresAt).toBeNull();
      expect(await idsListed(old.org)).toEqual([next.id, old.id]);
    });

    it('stops the old key at its own expiry where that comes before the time of grace is over', async () => {
      const expiresAt = new Date(Date.now() + 60_000).toISOString();
      const old = await issued({ expiresAt });
      const next = await rotated(old, DAY);
      expect((await get(old)).expiresAt).toBe(expiresAt);
      expect((await get(next)).expiresAt).toBe(expiresAt);
    });

    it('gives the new key the expiry that the old one had, not the one that it gets', async () => {
      const expiresAt = '2099-01-01T00:00:00.000Z';
      const old = await issued({ expiresAt });
      const next = await rotated(old, DAY);
      expect((await get(next)).expiresAt).toBe(expiresAt);
      const left = inSeconds((await get(old)).expiresAt);
      expect(left).toBeGreaterThan(DAY - 60);
      expect(left).toBeLessThanOrEqual(DAY);
    });

    it('takes a year of grace', async () => {
      const old = await issued();
      await rotated(old, 365 * DAY);
      expect(inSeconds((await get(old)).expiresAt)).toBeGreaterThan(365 * DAY - 60);
    });

    it('keeps a key that is switched off switched off', async () => {
      const old = await issued();
      await update(old, { enabled: false });
      const next = await rotated(old, DAY);
      expect(await codesOf(old, next)).toEqual(['api_key_disabled', 'api_key_disabled']);
      await update(next, { enabled: true });
      expect(await codesOf(old, next)).toEqual(['api_key_disabled', 'valid']);
    });

    it('goes by the settings that the old key has by then', async () => {
      const old = await issued({ scopes: ['a'] });
      await update(old, { scopes: ['b'], name: 'renamed' });
      expect(await get(await rotated(old))).toMatchObject({ scopes: ['b'], name: 'renamed', revision: 1 });
    });

    it('is on record on both keys, and the end of the old one as a revocation where it is one', async () => {
      const old = await issued({ scopes: ['a'] });
      const next = await rotated(old, 60);
      const last = await rotated(next);
      const { events } = await listEvents(service, { clerkOrgId: old.org });
      const { expiresAt } = await get(old);
      const key = (id: string) => ({ type: 'api-key', id });
      const issuedFrom = (rotatedFrom: string) => ({
        environment: 'live',
        scopes: ['a'],
        expiresAt: null,
        rotatedFrom,
      });
      expect(
        events
          .map(({ action, target, details }) => [action, target, details])
          .reverse()
          .slice(1),
      ).toEqual([
        ['api_key.issued', key(next.id), issuedFrom(old.id)],
        ['api_key.rotated', key(old.id), { rotatedTo: next.id, gracePeriodSeconds: 60, expiresAt }],
        ['api_key.issued', key(last.id), issuedFrom(next.id)],
        ['api_key.rotated', key(next.id), { rotatedTo: last.id, gracePeriodSeconds: 0, expiresAt: null }],
        ['api_key.revoked', key(next.id), {}],
      ]);
      const text = JSON.stringify(events);
      for (const { key } of [old, next, last]) expect(text).not.toContain(key.slice(12, -4));
    });
  });

  describe('a chain of rotations', () => {
    it('links each key with the one before and the one after, and lets each go on for its own time', async () => {
      const first = await issued();
      const second = await rotated(first, 2);
      const third = await rotated(second, DAY);
      expect(await codesOf(first, second, third)).toEqual(['valid', 'valid', 'valid']);
      const links = (await Promise.all([first, second, third].map(get))).map(({ rotatedFrom, rotatedTo }) => [
        rotatedFrom,
        rotatedTo,
      ]);
      expect(links).toEqual([
        [null, second.id],
        [first.id, third.id],
        [second.id, null],
      ]);
      await expect
        .poll(() => codesOf(first, second, third), { timeout: 5_000 })
        .toEqual(['api_key_expired', 'valid', 'valid']);
    });

    it('ends the key in the middle at once without touching the one in grace before it', async () => {
      const first = await issued();
      const second = await rotated(first, DAY);
      const third = await rotated(second);
      expect(await codesOf(first, second, third)).toEqual(['valid', 'api_key_revoked', 'valid']);
    });
  });

  describe('during the time of grace', () => {
    it('the old key is revoked alone', async () => {
      const old = await issued();
      const next = await rotated(old, DAY);
      expect((await revoke(old)).status).toBe(200);
      expect(await codesOf(old, next)).toEqual(['api_key_revoked', 'valid']);
      expect(await get(next)).toMatchObject({ status: 'active', rotatedFrom: old.id });
    });

    it('the new key is revoked alone, and the old one goes on to the end of its grace and no further', async () => {
      const old = await issued();
      const next = await rotated(old, DAY);
      const { expiresAt } = await get(old);
      expect((await revoke(next)).status).toBe(200);
      expect(await codesOf(old, next)).toEqual(['valid', 'api_key_revoked']);
      expect(await get(old)).toMatchObject({ status: 'active', expiresAt, rotatedTo: next.id });
    });

    it('the old key can be made to stop earlier, and never later', async () => {
      const old = await issued({ expiresAt: '2099-01-01T00:00:00.000Z' });
      await rotated(old, DAY);
      const before = await get(old);
      for (const expiresAt of [
        null,
        '2099-01-01T00:00:00.000Z',
        new Date(Date.parse(before.expiresAt) + 1).toISOString(),
      ]) {
        expectProblem(await update(old, { name: 'new', expiresAt }), 409, 'api_key_rotated');
      }
      expect(await get(old)).toMatchObject({ name: null, expiresAt: before.expiresAt, revision: before.revision });
      // What it is already is no change.
      expect((await update(old, { expiresAt: before.expiresAt })).body.revision).toBe(before.revision);
      const sooner = new Date(Date.now() + 400).toISOString();
      expect((await update(old, { expiresAt: sooner })).body.expiresAt).toBe(sooner);
      await expect.poll(() => codeOf(old)).toBe('api_key_expired');
      expectProblem(await update(old, { expiresAt: '2099-01-01T00:00:00.000Z' }), 409, 'api_key_rotated');
      expect(await codeOf(old)).toBe('api_key_expired');
    });

    it('the old key is switched off and renamed like any other', async () => {
      const old = await issued();
      const next = await rotated(old, DAY);
      expect((await update(old, { enabled: false, name: 'old' })).status).toBe(200);
      expect(await codesOf(old, next)).toEqual(['api_key_disabled', 'valid']);
    });
  });

  describe('400', () => {
    it.each<[what: string, gracePeriodSeconds: unknown]>([
      ['negative', -1],
      ['a fraction', 1.5],
      ['text', '60'],
      ['null', null],
      ['more than a year', 365 * DAY + 1],
      ['more than a computer counts to', 1e300],
    ])('refuses a time of grace that is %s, and rotates nothing', async (_what, gracePeriodSeconds) => {
      const old = await issued();
      expectInvalid(await rotate(old, { gracePeriodSeconds }), '/gracePeriodSeconds');
      expect(await get(old)).toMatchObject({ status: 'active', rotatedTo: null, revision: 1 });
    });

    it('refuses settings of its own for the new key, and a request that names no organisation', async () => {
      const old = await issued();
      expectInvalid(await rotate(old, { scopes: null, name: 'x' }), '/scopes', '/name');
      expectInvalid(await service.asService('POST', `/internal/api-keys/${old.id}/rotate`, {}), '/clerkOrgId');
    });
  });

  describe('404', () => {
    it('knows no key of another organisation, no unknown id and no malformed one, and issues nothing', async () => {
      const [ours, theirs] = [await issued(), await issued()];
      for (const which of [
        { ...theirs, org: ours.org },
        { ...ours, org: newOrganization() },
        { ...ours, id: '01890000-0000-7000-8000-000000000000' },
        { ...ours, id: 'not-a-uuid' },
      ]) {
        expectProblem(await rotate(which), 404, 'api_key_not_found');
      }
      expect([await idsListed(ours.org), await idsListed(theirs.org)]).toEqual([[ours.id], [theirs.id]]);
    });
  });

  describe('409', () => {
    it('api_key_ended: refuses a key that was revoked, which stays so', async () => {
      const old = await issued();
      await revoke(old);
      expectProblem(await rotate(old, { gracePeriodSeconds: DAY }), 409, 'api_key_ended');
      expect(await codeOf(old)).toBe('api_key_revoked');
      expect(await idsListed(old.org)).toEqual([]);
    });

    it('api_key_ended: refuses a key that was rotated without grace, as one that was revoked', async () => {
      const old = await issued();
      const next = await rotated(old);
      expectProblem(await rotate(old), 409, 'api_key_ended');
      expect(await codesOf(old, next)).toEqual(['api_key_revoked', 'valid']);
    });

    it('api_key_ended: refuses a key that has expired, until it is given more time', async () => {
      const old = await issued({ expiresAt: new Date(Date.now() + 500).toISOString() });
      await expect.poll(() => codeOf(old)).toBe('api_key_expired');
      const answer = await rotate(old);
      expectProblem(answer, 409, 'api_key_ended');
      expect(answer.body.detail).toContain((await get(old)).expiresAt);
      await update(old, { expiresAt: null });
      expect(await codeOf(await rotated(old))).toBe('valid');
    });

    it('api_key_rotated: refuses a key that was rotated, and names the one that took its place', async () => {
      const old = await issued();
      const next = await rotated(old, DAY);
      const answer = await rotate(old, { gracePeriodSeconds: DAY });
      expectProblem(answer, 409, 'api_key_rotated');
      expect(answer.body.detail).toContain(next.id);
      expect(await idsListed(old.org)).toEqual([next.id, old.id]);
      expect(await codesOf(old, next)).toEqual(['valid', 'valid']);
    });

    it('api_key_rotated: of many rotations of one key at once exactly one happens', async () => {
      const old = await issued();
      const answers = await Promise.all(Array.from({ length: 8 }, () => rotate(old, { gracePeriodSeconds: DAY })));
      const [next, ...others] = answers.toSorted((a, b) => a.status - b.status);
      expect(next?.status).toBe(201);
      for (const answer of others) expectProblem(answer, 409, 'api_key_rotated');
      expect(await idsListed(old.org)).toEqual([next?.body.id, old.id]);
      expect(await codesOf(old, { ...old, key: next?.body.key })).toEqual(['valid', 'valid']);
    });

    it('of a rotation and a revocation at once, leaves the old key revoked', async () => {
      for (let round = 0; round < 8; round += 1) {
        const old = await issued();
        const [rotation, revocation] = await Promise.all([rotate(old, { gracePeriodSeconds: DAY }), revoke(old)]);
        expect([201, 409]).toContain(rotation.status);
        expect(revocation.status).toBe(200);
        expect(await codeOf(old)).toBe('api_key_revoked');
        if (rotation.status === 201) expect(await codeOf({ key: rotation.body.key })).toBe('valid');
      }
    });

    it('organization_deleted: refuses it for an organisation that has ended', async () => {
      const old = await issued();
      await service.asService('DELETE', `/internal/organizations/${old.org}`);
      expectProblem(await rotate(old), 409, 'organization_deleted');
    });
  });
});
