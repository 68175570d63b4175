import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { countdownFrom, descending, hammer, isUsedUp } from '../support/usage-limits.ts';

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
const DAILY = { amount: 100, interval: 'day' };

async function issued(settings: Record<string, unknown> = {}): Promise<Key> {
  const org = newOrganization();
  const { id, key } = await service.issueKey(org, settings);
  return { org, id, key };
}
const update = ({ id, org }: Key, change: Record<string, unknown>) =>
  service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, ...change });
const rotate = async ({ id, org }: Key, gracePeriodSeconds = 3_600): Promise<Key> => {
  const { body } = await service.asService('POST', `/internal/api-keys/${id}/rotate`, {
    clerkOrgId: org,
    gracePeriodSeconds,
  });
  return { org, id: body.id, key: body.key };
};
const get = async ({ id, org }: Key) =>
  (await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`)).body;
const validate = ({ key }: Pick<Key, 'key'>, query = '') => service.asHolder(key, `/validate${query}`);
/** What is left after a use, or why there was none. */
const use = async (key: Key, query = '') => {
  const { status, body } = await validate(key, query);
  return status === 200 ? body.apiKey.remainingUses : body.code;
};
const usesOf = async (key: Key, times: number) => {
  const seen = [];
  for (let time = 0; time < times; time += 1) seen.push(await use(key));
  return seen;
};
const head = ({ key }: Key) => service.request('HEAD', '/validate', { headers: { Authorization: `Bearer ${key}` } });

describe('An API key that may be used so many times', () => {
  it('is good so many times and not once more, and says with each how many are left', async () => {
    const key = await issued({ remainingUses: 3 });
    expect(await usesOf(key, 5)).toEqual([2, 1, 0, 'usage_exceeded', 'usage_exceeded']);
    expect(await get(key)).toMatchObject({ remainingUses: 0, refill: null, status: 'active' });
  });

  it('is refused with 403 and no time to come back, when it is not filled up again', async () => {
    const answer = await validate(await issued({ remainingUses: 0 }));
    expectProblem(answer, 403, 'usage_exceeded');
    expect(answer.body.detail).toBe('This API key is used up.');
    expect(answer.headers.get('retry-after')).toBeNull();
    expect(answer.headers.get('www-authenticate')).toBeNull();
  });

  it('is refused with the time of its next refill, when there is one', async () => {
    const key = await issued({ remainingUses: 0, refill: DAILY });
    const answer = await validate(key);
    const midnight = new Date();
    midnight.setUTCHours(24, 0, 0, 0);
    expectProblem(answer, 403, 'usage_exceeded');
    expect(answer.body.detail).toBe(`This API key is used up until ${midnight.toISOString()}.`);
    const seconds = Number(answer.headers.get('retry-after'));
    expect(Math.abs(seconds - (midnight.getTime() - Date.now()) / 1_000)).toBeLessThan(5);
  });

  it('is never good once more, however many ask at once', async () => {
    const key = await issued({ remainingUses: 100 });
    const { remaining, refusals } = await hammer({ targets: [service], key: key.key, clients: 50, until: isUsedUp });
    expect(descending(remaining)).toEqual(countdownFrom(100));
    expect([...refusals]).toEqual(['usage_exceeded']);
  });

  it('shows its limit where it is issued, read and listed; others have none, and their answers do not speak of it', async () => {
    const org = newOrganization();
    const limit = { remainingUses: 5, refill: { amount: 10, interval: 'month' } };
    const { body } = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org, ...limit });
    expect(body).toMatchObject(limit);
    const unlimited = await service.issueKey(org, { remainingUses: null, refill: null });
    expect(unlimited).toMatchObject({ remainingUses: null, refill: null });
    expect(await use({ org, ...body })).toBe(4);
    const list = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
    expect(list.body.keys).toEqual([
      expect.objectContaining({ id: unlimited.id, remainingUses: null, refill: null }),
      expect.objectContaining({ id: body.id, remainingUses: 4, refill: limit.refill }),
    ]);
    expect(await get({ org, ...body })).toMatchObject({ remainingUses: 4, refill: limit.refill });
    expect((await validate(unlimited)).body.apiKey).not.toHaveProperty('remainingUses');
  });

  it('has its number as the last member of the answer, whatever is in its metadata', async () => {
    const metadata = { end: '}}', 'ä€😀': [{ remainingUses: 'x' }] };
    const key = await issued({ remainingUses: 2, metadata });
    const { body, headers, text } = await validate(key);
    expect(body.apiKey).toMatchObject({ metadata, remainingUses: 1 });
    expect(Number(headers.get('content-length'))).toBe(Buffer.byteLength(text));
  });

  it('is used by HEAD as by GET', async () => {
    const key = await issued({ remainingUses: 2 });
    expect((await head(key)).status).toBe(200);
    expect(await usesOf(key, 2)).toEqual([0, 'usage_exceeded']);
    expect((await head(key)).status).toBe(403);
  });

  it('is used by a reveal, also of what is not there', async () => {
    const key = await issued({ remainingUses: 3 });
    await service.saveProviderKey(key.org, 'openai', 'fake-provider-secret-1');
    const reveal = (provider: string) => service.asHolder(key.key, `/validate/keys/${provider}`);
    expect((await reveal('openai')).body).toMatchObject({ key: 'fake-provider-secret-1' });
    expectProblem(await reveal('anthropic'), 404, 'provider_key_not_found');
    expect((await reveal('openai')).status).toBe(200);
    expectProblem(await reveal('openai'), 403, 'usage_exceeded');
    expect(await use(key)).toBe('usage_exceeded');
  });

  it('is not used by a request that is refused for another reason', async () => {
    const key = await issued({ remainingUses: 1, scopes: ['read:orders'] });
    expect(await use(key, '?scope=write:orders')).toBe('insufficient_scope');
    expect(await use(key, '?scope=NOT%20A%20SCOPE')).toBe('invalid_request');
    expect((await service.asHolder(key.key, '/validate/keys/openai')).body.code).toBe('insufficient_scope');
    await update(key, { enabled: false });
    expect(await use(key)).toBe('api_key_disabled');
    await update(key, { enabled: true });
    expect(await use(key, '?scope=read:orders')).toBe(0);
    await update(key, { enabled: false });
    expect(await use(key), 'what is final comes first').toBe('api_key_disabled');
  });

  it('is not rewritten by a use, which has a table of its own', async () => {
    const key = await issued({ remainingUses: 10 });
    const row = () => service.sql('select xmin, revision from key_service.api_keys where id = $1', [key.id]);
    const before = await row();
    await usesOf(key, 3);
    expect(await row()).toEqual(before);
    expect(await service.sql("select reloptions from pg_class where relname = 'api_key_usage_limits'")).toEqual([
      { reloptions: ['fillfactor=50'] },
    ]);
  });
});

describe('PATCH /internal/api-keys/:id', () => {
  it('sets how many are left, on record, and raises the revision', async () => {
    const key = await issued({ remainingUses: 2 });
    expect(await usesOf(key, 3)).toEqual([1, 0, 'usage_exceeded']);
    const { body } = await update(key, { remainingUses: 5 });
    expect(body).toMatchObject({ remainingUses: 5, revision: 2 });
    expect(await use(key)).toBe(4);
    const { events } = await listEvents(service, { clerkOrgId: key.org, action: 'api_key.updated' });
    expect(events[0]?.details).toEqual({ revision: 2, changed: ['remainingUses'], remainingUses: 5 });
  });

  it('is no change where as many are left', async () => {
    const key = await issued({ remainingUses: 2, refill: DAILY });
    await use(key);
    expect((await update(key, { remainingUses: 1, refill: { ...DAILY } })).body).toMatchObject({ revision: 1 });
  });

  it('gives a key a limit, and takes it away with its refill, and gives another', async () => {
    const key = await issued();
    expect(await use(key)).toBeUndefined();
    expect((await update(key, { remainingUses: 1, refill: DAILY })).body).toMatchObject({
      remainingUses: 1,
      refill: DAILY,
    });
    expect(await usesOf(key, 2)).toEqual([0, 'usage_exceeded']);
    expect((await update(key, { remainingUses: null })).body).toMatchObject({ remainingUses: null, refill: null });
    expect(await usesOf(key, 2)).toEqual([undefined, undefined]);
    expect((await update(key, { remainingUses: 2 })).body).toMatchObject({ remainingUses: 2, refill: null });
    expect(await usesOf(key, 3)).toEqual([1, 0, 'usage_exceeded']);
    const { events } = await listEvents(service, { clerkOrgId: key.org, action: 'api_key.updated' });
    expect(events[1]?.details).toEqual({
      revision: 3,
      changed: ['refill', 'remainingUses'],
      remainingUses: null,
      refillAmount: null,
      refillInterval: null,
    });
  });

  it('sets and clears the refill, and leaves what is left', async () => {
    const key = await issued({ remainingUses: 3 });
    await use(key);
    expect((await update(key, { refill: DAILY })).body).toMatchObject({ remainingUses: 2, refill: DAILY });
    expect(await use(key)).toBe(1);
    expect((await update(key, { refill: null })).body).toMatchObject({ remainingUses: 1, refill: null });
    expect(await usesOf(key, 2)).toEqual([0, 'usage_exceeded']);
    expect((await validate(key)).headers.get('retry-after')).toBeNull();
  });

  it('sets a number that is left from then on, whichever uses are under way', async () => {
    const key = await issued({ remainingUses: 1_000_000 });
    const over = (answer: { body: { code?: string } }) => answer.body.code === 'usage_exceeded';
    const hammering = hammer({ targets: [service], key: key.key, clients: 20, until: over });
    await expect.poll(async () => (await get(key)).remainingUses).toBeLessThan(999_900);
    await update(key, { remainingUses: 50 });
    const { remaining } = await hammering;
    // Whatever was left of a million, and then fifty, each once.
    expect(descending(remaining.filter((left) => left < 1_000))).toEqual(countdownFrom(50));
    expect(await get(key)).toMatchObject({ remainingUses: 0 });
  });

  it('does not wait for uses, nor uses for other changes of the key', async () => {
    const key = await issued({ remainingUses: 1_000_000 });
    let over = false;
    const hammering = hammer({ targets: [service], key: key.key, clients: 20, until: () => over });
    for (let change = 0; change < 20; change += 1) {
      expect((await update(key, { name: `name ${change}` })).status).toBe(200);
    }
    over = true;
    const { refusals, remaining } = await hammering;
    expect([...refusals]).toEqual([]);
    expect(new Set(remaining).size).toBe(remaining.length);
  });
});

describe('Another replica, which has a key in its memory', () => {
  let other: TestService;
  beforeAll(async () => {
    other = await startService({ beside: service });
  });
  afterAll(() => other.stop());

  it('counts as soon as it has heard of a limit, and counts no more when it is taken away', async () => {
    const key = await issued();
    const there = async () => (await other.asHolder(key.key, '/validate')).body;
    expect((await there()).valid).toBe(true);
    await update(key, { remainingUses: 1_000 });
    await expect.poll(async () => (await there()).apiKey.remainingUses).toBeLessThan(1_000);
    await update(key, { remainingUses: 0 });
    expect((await there()).code, 'of a limit that it knows, it need not hear').toBe('usage_exceeded');
    await update(key, { remainingUses: null });
    await expect.poll(async () => (await there()).valid).toBe(true);
    await update(key, { remainingUses: 1 });
    await expect.poll(async () => (await there()).code).toBe('usage_exceeded');
    expect(await use(key)).toBe('usage_exceeded');
  });
});

describe('A key and the one that takes its place', () => {
  it('share what is left in the time of grace: nothing doubles', async () => {
    const old = await issued({ remainingUses: 6, refill: DAILY });
    expect(await use(old)).toBe(5);
    const next = await rotate(old);
    expect(await get(next)).toMatchObject({ remainingUses: 5, refill: DAILY });
    expect([await use(next), await use(old), await use(next)]).toEqual([4, 3, 2]);
    const last = await rotate(next);
    expect([await use(last), await use(old), await use(next), await use(last)]).toEqual([
      1,
      0,
      ...Array(2).fill('usage_exceeded'),
    ]);
    for (const key of [old, next, last]) expect(await get(key)).toMatchObject({ remainingUses: 0, refill: DAILY });
  });

  it('share it though both are asked at once', async () => {
    const old = await issued({ remainingUses: 200 });
    const next = await rotate(old);
    const both = await Promise.all(
      [old, next].map(({ key }) => hammer({ targets: [service], key, clients: 10, until: isUsedUp })),
    );
    expect(descending(both.flatMap(({ remaining }) => remaining))).toEqual(countdownFrom(200));
  });

  it('leave the rest to the new one, without grace', async () => {
    const old = await issued({ remainingUses: 2 });
    await use(old);
    const next = await rotate(old, 0);
    expect([await use(old), await use(next), await use(next)]).toEqual(['api_key_revoked', 0, 'usage_exceeded']);
  });

  it('have one number that is set through either, and a limit that is taken away from one alone', async () => {
    const old = await issued({ remainingUses: 1 });
    const next = await rotate(old);
    await update(old, { remainingUses: 4 });
    expect([await use(next), await use(old)]).toEqual([3, 2]);
    await update(next, { remainingUses: null });
    expect([await use(next), await use(old)]).toEqual([undefined, 1]);
    await update(next, { remainingUses: 7 });
    expect([await use(old), await use(next)]).toEqual([6, 5]);
  });

  it('have none where the limit was taken away before', async () => {
    const old = await issued({ remainingUses: 1 });
    await update(old, { remainingUses: null });
    const next = await rotate(old);
    await update(old, { remainingUses: 1 });
    expect([await use(next), await use(old), await use(next), await use(old)]).toEqual([
      undefined,
      0,
      undefined,
      'usage_exceeded',
    ]);
  });
});

describe('A usage limit is refused with 400', () => {
  it.each<[pointer: string, limit: Record<string, unknown>]>([
    ['/remainingUses', { remainingUses: -1 }],
    ['/remainingUses', { remainingUses: 1.5 }],
    ['/remainingUses', { remainingUses: '3' }],
    ['/remainingUses', { remainingUses: 2 ** 53 }],
    ['/refill', { remainingUses: 1, refill: 5 }],
    ['/refill/amount', { remainingUses: 1, refill: { amount: 0, interval: 'day' } }],
    ['/refill/amount', { remainingUses: 1, refill: { interval: 'day' } }],
    ['/refill/interval', { remainingUses: 1, refill: { amount: 5, interval: 'hour' } }],
    ['/refill/interval', { remainingUses: 1, refill: { amount: 5 } }],
    ['/refill/at', { remainingUses: 1, refill: { ...DAILY, at: 1 } }],
    ['/refill', { refill: DAILY }],
    ['/refill', { remainingUses: null, refill: DAILY }],
  ])('at %s where it is %j', async (pointer, limit) => {
    const key = await issued();
    for (const answer of [
      await service.asService('POST', '/internal/api-keys', { clerkOrgId: key.org, ...limit }),
      await update(key, limit),
    ]) {
      expectInvalid(answer, pointer);
    }
    expect(await get(key)).toMatchObject({ remainingUses: null, refill: null, revision: 1 });
  });

  it('where a refill stays without a limit', async () => {
    const key = await issued({ remainingUses: 1 });
    expectInvalid(await update(key, { remainingUses: null, refill: DAILY }), '/refill');
    expect(await use(key)).toBe(0);
  });

  it('and holds the largest number that there is', async () => {
    const key = await issued({ remainingUses: Number.MAX_SAFE_INTEGER });
    expect(await use(key)).toBe(Number.MAX_SAFE_INTEGER - 1);
  });
});
