import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hashKey } from '../../src/key-format.ts';
import { listEvents } from '../support/audit.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { addressText, bitsOf, edgesOf, type Family, isInRange, rangeText } from '../support/ip-model.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const CLIENT = '203.0.113.7';
const LIST = ['203.0.113.0/24', '2001:db8::/32'];

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

interface Key {
  org: string;
  id: string;
  key: string;
}

async function issued(ipAllowList: unknown, settings: Record<string, unknown> = {}): Promise<Key> {
  const org = newOrganization();
  return { org, ...(await service.issueKey(org, { ...settings, ipAllowList })) };
}
const get = async ({ org, id }: Key) =>
  (await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`)).body;
const update = ({ org, id }: Key, change: Record<string, unknown>) =>
  service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, ...change });
const from = (address: string) => ({ 'X-Client-IP': address, 'X-Service-Key': SERVICE_KEY });
const ask = ({ key }: Pick<Key, 'key'>, headers: Record<string, string> = {}, path = '/validate', at = service) =>
  at.request('GET', path, { headers: { Authorization: `Bearer ${key}`, ...headers } });
const codeOf = async (...asked: Parameters<typeof ask>) => {
  const { status, body } = await ask(...asked);
  return status === 200 ? 'valid' : body.code;
};

describe('The ipAllowList of an API key', () => {
  it.each<[written: string[] | null | undefined, kept: string[] | null]>([
    [undefined, null],
    [null, null],
    [[], []],
    [LIST, LIST],
    [
      ['203.0.113.77/24', '::FFFF:10.1.2.3/104', '198.51.100.1/32', '2001:DB8::1', '2001:db8::1/64'],
      ['203.0.113.0/24', '10.0.0.0/8', '198.51.100.1', '2001:db8::1', '2001:db8::/64'],
    ],
    [
      ['203.0.113.1/24', '203.0.113.2/24', '::ffff:203.0.113.3/120', '2001:db8::', '2001:DB8:0::'],
      ['203.0.113.0/24', '2001:db8::'],
    ],
  ])('%j is kept as %j, and shown with the key, in lists and after a rotation', async (written, kept) => {
    const { org, id, key } = await issued(written);
    expect(await get({ org, id, key })).toMatchObject({ ipAllowList: kept });
    const listed = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
    expect(listed.body.keys[0].ipAllowList).toEqual(kept);
    const { body } = await service.asService('POST', `/internal/api-keys/${id}/rotate`, { clerkOrgId: org });
    expect([body.ipAllowList, body.previous.ipAllowList]).toEqual([kept, kept]);
  });

  it('has up to 64 ranges', async () => {
    const ranges = Array.from({ length: 64 }, (_, n) => `198.51.${n}.0/24`);
    const key = await issued(ranges);
    expect((await get(key)).ipAllowList).toEqual(ranges);
    expect([await codeOf(key, from('198.51.63.255')), await codeOf(key, from('198.51.64.0'))]).toEqual([
      'valid',
      'ip_not_allowed',
    ]);
  });

  it.each<[what: string, ipAllowList: unknown, ...pointers: string[]]>([
    ['text', '203.0.113.0/24', '/ipAllowList'],
    ['a number', [1], '/ipAllowList/0'],
    ['null in it', ['203.0.113.1', null], '/ipAllowList/1'],
    ['more than 64 ranges', Array.from({ length: 65 }, () => CLIENT), '/ipAllowList'],
    ['a name', ['gateway.example'], '/ipAllowList/0'],
    [
      'ranges that are none',
      ['10.0.0.0/33', CLIENT, '::/129', '10.0.0', 'fe80::1%eth0', ' 10.0.0.1', '10.0.0.1:80'],
      ...[0, 2, 3, 4, 5, 6].map((n) => `/ipAllowList/${n}`),
    ],
  ])('is refused when it is or has %s', async (_what, ipAllowList, ...pointers) => {
    const org = newOrganization();
    expectInvalid(await service.asService('POST', '/internal/api-keys', { clerkOrgId: org, ipAllowList }), ...pointers);
    const key = await issued(LIST);
    expectInvalid(await update(key, { ipAllowList }), ...pointers);
    expect((await get(key)).ipAllowList).toEqual(LIST);
  });

  it('is changed, cleared and on record, and what is the same in another form is no change', async () => {
    const key = await issued(LIST);
    expect((await update(key, { ipAllowList: ['203.0.113.9/24', '2001:DB8::/32'] })).body.revision).toBe(1);
    expect((await update(key, { ipAllowList: [CLIENT] })).body).toMatchObject({ ipAllowList: [CLIENT], revision: 2 });
    expect((await update(key, { name: 'kept' })).body.ipAllowList).toEqual([CLIENT]);
    expect((await update(key, { ipAllowList: null })).body).toMatchObject({ ipAllowList: null, revision: 4 });
    const { events } = await listEvents(service, { clerkOrgId: key.org });
    expect(events.map(({ details }) => details)).toEqual([
      { revision: 4, changed: ['ipAllowList'], ipAllowList: null },
      { revision: 3, changed: ['name'] },
      { revision: 2, changed: ['ipAllowList'], ipAllowList: [CLIENT] },
      { environment: 'live', scopes: null, expiresAt: null, ipAllowList: LIST },
    ]);
  });

  it('comes with a key that is imported', async () => {
    const org = newOrganization();
    const key = `old-${org}`;
    const item = { clerkOrgId: org, sha256: hashKey(key).toString('hex'), ipAllowList: ['203.0.113.7/24'] };
    const { body } = await service.asService('POST', '/internal/api-keys/import', { keys: [item] });
    const { id } = body.results[0];
    expect((await get({ org, id, key })).ipAllowList).toEqual(['203.0.113.0/24']);
    expect([await codeOf({ key }, from(CLIENT)), await codeOf({ key })]).toEqual(['valid', 'ip_not_allowed']);
    const { events } = await listEvents(service, { clerkOrgId: org });
    expect(events[0]?.details).toMatchObject({ ipAllowList: ['203.0.113.0/24'] });
  });
});

describe('A key with an ipAllowList', () => {
  it.each<[list: string[] | null, address: string, code: string]>([
    [null, CLIENT, 'valid'],
    [[], CLIENT, 'ip_not_allowed'],
    [[CLIENT], CLIENT, 'valid'],
    [[CLIENT], '203.0.113.6', 'ip_not_allowed'],
    [['203.0.113.0/24'], '203.0.113.0', 'valid'],
    [['203.0.113.0/24'], '203.0.113.255', 'valid'],
    [['203.0.113.0/24'], '203.0.114.0', 'ip_not_allowed'],
    [['203.0.113.0/24'], '203.0.112.255', 'ip_not_allowed'],
    [['203.0.113.0/24'], '::ffff:203.0.113.1', 'valid'],
    [['::ffff:203.0.113.0/120'], CLIENT, 'valid'],
    [['203.0.113.0/24'], '::203.0.113.1', 'ip_not_allowed'],
    [['203.0.113.0/24'], '64:ff9b::203.0.113.1', 'ip_not_allowed'],
    [['0.0.0.0/0'], CLIENT, 'valid'],
    [['0.0.0.0/0'], '2001:db8::1', 'ip_not_allowed'],
    [['::/0'], '2001:db8::1', 'valid'],
    [['::/0'], CLIENT, 'ip_not_allowed'],
    [['::/0'], '::ffff:203.0.113.1', 'ip_not_allowed'],
    [['2001:db8::/33'], '2001:db8:7fff:ffff:ffff:ffff:ffff:ffff', 'valid'],
    [['2001:db8::/33'], '2001:db8:8000::', 'ip_not_allowed'],
    [['fe80::/10'], 'fe80::1%eth0', 'valid'],
  ])('of %j is asked from %s: %s', async (list, address, code) => {
    expect(await codeOf(await issued(list), from(address))).toBe(code);
  });

  it('is told so in an answer that says nothing of the list, and the log has the address', async () => {
    const key = await issued(LIST);
    const answer = await ask(key, from('198.51.100.9'));
    expectProblem(answer, 403, 'ip_not_allowed');
    expect(answer.headers.get('www-authenticate')).toBeNull();
    expect(answer.text).not.toMatch(/203\.0|2001:|198\.51/);
    const line = await vi.waitUntil(() =>
      service.logLines.find(({ requestId }) => requestId === answer.body.requestId),
    );
    expect(line).toMatchObject({ error: { code: 'ip_not_allowed', context: { address: '198.51.100.9' } } });
    expect(line).not.toHaveProperty('caller');
  });

  it('is good from what is in its list and from nowhere else, whatever the list', async () => {
    const key = await issued([]);
    const family = fc.constantFrom<Family>(4, 6);
    const range = fc
      .record({ family, address: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), length: fc.nat({ max: 128 }) })
      .map(({ family, address, length }) => ({
        family,
        address: BigInt.asUintN(bitsOf(family), address),
        length: length % (bitsOf(family) + 1),
      }))
      // The addresses in IPv6 that stand for IPv4 are IPv4 here.
      .filter(({ family, address, length }) => family === 4 || length > 96 || address >> 64n !== 0n);
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 6 }), fc.array(range, { maxLength: 2 }), async (list, others) => {
        const changed = await update(key, { ipAllowList: list.map(rangeText) });
        expect(changed.status, changed.text).toBe(200);
        const addresses = [...list, ...others]
          .flatMap(edgesOf)
          .filter(({ family, address }) => family === 4 || address >> 32n !== 0xffffn);
        for (const address of addresses) {
          const expected = list.some((range) => isInRange(address, range)) ? 'valid' : 'ip_not_allowed';
          expect(await codeOf(key, from(addressText(address))), addressText(address)).toBe(expected);
        }
      }),
      { numRuns: 30 },
    );
  }, 60_000);

  it('is asked by the address of the peer where nobody is believed to name another', async () => {
    const near = await issued(['127.0.0.0/8']);
    const far = await issued([CLIENT]);
    for (const headers of [{}, { 'X-Forwarded-For': CLIENT }, { 'X-Client-IP': CLIENT }]) {
      expect([await codeOf(near, headers), await codeOf(far, headers)]).toEqual(['valid', 'ip_not_allowed']);
    }
    expect(await codeOf(near, from(CLIENT))).toBe('ip_not_allowed');
  });

  it('reveals no provider key elsewhere, which is no use and not on record', async () => {
    const key = await issued(LIST);
    await service.saveProviderKey(key.org, 'openai', 'sk-not-a-real-key-0000');
    const path = '/validate/keys/openai';
    expectProblem(await ask(key, {}, path), 403, 'ip_not_allowed');
    const reveals = () => listEvents(service, { clerkOrgId: key.org, action: 'provider_key.revealed' });
    expect((await reveals()).events).toEqual([]);
    expect((await get(key)).lastUsedAt).toBeNull();
    expect((await ask(key, from(CLIENT), path)).body.key).toBe('sk-not-a-real-key-0000');
    expect((await reveals()).events).toMatchObject([{ address: CLIENT }]);
  });

  it('that is not good is told that and nothing of its address; one that is good, nothing of its scopes', async () => {
    const scoped = await issued(LIST, { scopes: [] });
    expect(await codeOf(scoped, {}, '/validate?scope=read')).toBe('ip_not_allowed');
    expect(await codeOf(scoped, from(CLIENT), '/validate?scope=read')).toBe('insufficient_scope');
    await service.asService('POST', `/internal/organizations/${scoped.org}/suspend`);
    expect(await codeOf(scoped)).toBe('organization_suspended');
    const key = await issued(LIST);
    await update(key, { enabled: false });
    expect(await codeOf(key)).toBe('api_key_disabled');
    await service.asService('DELETE', `/internal/api-keys/${key.id}?clerkOrgId=${key.org}`);
    expect(await codeOf(key)).toBe('api_key_revoked');
  });

  it('is changed at once, from memory too, and soon by SQL and on another replica', async () => {
    const other = await startService({ beside: service });
    const key = await issued(null);
    const codes = () => Promise.all([codeOf(key), codeOf(key, {}, '/validate', other)]);
    expect(await codes()).toEqual(['valid', 'valid']);
    for (const [list, code] of [
      [LIST, 'ip_not_allowed'],
      [['127.0.0.1'], 'valid'],
      [[], 'ip_not_allowed'],
      [null, 'valid'],
    ] as const) {
      await update(key, { ipAllowList: list });
      expect(await codeOf(key)).toBe(code);
      await expect.poll(codes, { interval: 5, timeout: 5_000 }).toEqual([code, code]);
    }
    // What is no range allows nothing.
    await service.sql("update key_service.api_keys set ip_allow_list = '{127.0.0.1/33,anything,::1%1}' where id = $1", [
      key.id,
    ]);
    await expect.poll(codes, { interval: 5, timeout: 5_000 }).toEqual(['ip_not_allowed', 'ip_not_allowed']);
    await other.stop();
  });
});

describe('Behind a proxy', () => {
  it('a key with an ipAllowList is asked by the address that the proxy names, and refused where it names none', async () => {
    const behind = await startService({ beside: service, environment: { TRUST_PROXY: 'loopback' } });
    const key = await issued(['0.0.0.0/0', '::/0']);
    const listed = await issued([CLIENT]);
    const forwarded = (which: Key, list: string) => codeOf(which, { 'X-Forwarded-For': list }, '/validate', behind);
    expect(await forwarded(listed, `198.51.100.1, ${CLIENT}`)).toBe('valid');
    expect(await forwarded(listed, `${CLIENT}, 198.51.100.1`)).toBe('ip_not_allowed');
    expect(await forwarded(key, 'unknown')).toBe('ip_not_allowed');
    expect(await forwarded(key, '')).toBe('valid');
    await behind.stop();
  });
});
