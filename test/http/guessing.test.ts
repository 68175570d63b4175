import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/key-format.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const LIMIT = 5;
const WINDOW_SECONDS = 600;
const SHORT_WINDOW_SECONDS = 3;

let service: TestService;
/** Another replica: keys that are issued there are in no memory here. */
let other: TestService;
beforeAll(async () => {
  const environment = { METRICS_PORT: '0', GUESSING_LIMIT: String(LIMIT) };
  service = await startService({ environment: { ...environment, GUESSING_WINDOW_SECONDS: String(WINDOW_SECONDS) } });
  other = await startService({
    beside: service,
    environment: { ...environment, TRUST_PROXY: 'loopback', GUESSING_WINDOW_SECONDS: String(SHORT_WINDOW_SECONDS) },
  });
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});

let addresses = 0;
/** One that no other test has guessed from. */
const newAddress = () => {
  addresses += 1;
  return `198.51.100.${addresses}`;
};
const from = (address: string) => ({ 'X-Client-IP': address, 'X-Service-Key': SERVICE_KEY });
const neverIssued = () => generateKey('ks', 'live').key;
const ask = (key: string, headers: Record<string, string>, { at = service, path = '/validate' } = {}) =>
  at.request('GET', path, { headers: { Authorization: `Bearer ${key}`, ...headers } });
async function codeOf(...asked: Parameters<typeof ask>): Promise<string> {
  const { status, body } = await ask(...asked);
  return status === 200 ? 'valid' : body.code;
}
/** The codes of so many guesses, one after the other. */
async function guess(times: number, headers: Record<string, string>, options: Parameters<typeof ask>[2] = {}) {
  const codes: string[] = [];
  for (let n = 0; n < times; n += 1) codes.push(await codeOf(neverIssued(), headers, options));
  return codes;
}
const answered = (refused: number) => [...Array(LIMIT).fill('api_key_invalid'), ...Array(refused).fill('rate_limited')];
const refusedSoFar = async () => (await metricsOf(service)).value('key_service_guesses_refused_total') ?? 0;

describe('Keys that nobody issued, from an address that is known to be the client’s', () => {
  it('are 429 after so many, with the time until the next is let through, and are counted', async () => {
    const before = await refusedSoFar();
    const headers = from(newAddress());
    expect(await guess(LIMIT + 3, headers)).toEqual(answered(3));
    const answer = await ask(neverIssued(), headers);
    expectProblem(answer, 429, 'rate_limited');
    const seconds = Number(answer.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(WINDOW_SECONDS - 60);
    expect(seconds).toBeLessThanOrEqual(WINDOW_SECONDS);
    expect((await refusedSoFar()) - before).toBe(4);
    expect(await guess(1, from(newAddress()))).toEqual(['api_key_invalid']);
  });

  it('count whether they are mistyped, of another form, or asked for again, and on every route', async () => {
    const headers = from(newAddress());
    const again = neverIssued();
    const keys = [`ks_live_${'A'.repeat(49)}`, 'of another form', again, again];
    for (const key of keys) expect(await codeOf(key, headers)).toBe('api_key_invalid');
    expect(await codeOf(again, headers, { path: '/validate/keys/openai' })).toBe('api_key_invalid');
    for (const key of [...keys, neverIssued()]) {
      expect(await codeOf(key, headers)).toBe('rate_limited');
      expect(await codeOf(key, headers, { path: '/validate/keys/openai' })).toBe('rate_limited');
      expect(await codeOf(key, headers, { path: '/validate/self' })).toBe('rate_limited');
      const revocation = { headers: { Authorization: `Bearer ${key}`, ...headers } };
      expectProblem(await service.request('POST', '/validate/self/revoke', revocation), 429, 'rate_limited');
    }
  });

  it('are let through again when the time is over', async () => {
    const headers = from(newAddress());
    expect(await guess(LIMIT + 1, headers, { at: other })).toEqual(answered(1));
    const { headers: told } = await ask(neverIssued(), headers, { at: other });
    const seconds = Number(told.get('retry-after'));
    expect(seconds).toBeLessThanOrEqual(SHORT_WINDOW_SECONDS);
    await sleep(seconds * 1_000);
    expect(await guess(LIMIT + 1, headers, { at: other })).toEqual(answered(1));
  });

  it('are counted in a batch, where a gateway names the client that they came from', async () => {
    const headers = from(newAddress());
    const { key } = await service.issueKey(newOrganization());
    const batch = (named: Record<string, string>) =>
      service.request('POST', '/internal/api-keys/validate', {
        headers: { 'X-Service-Key': SERVICE_KEY, ...named },
        body: { keys: [...Array.from({ length: LIMIT + 1 }, neverIssued), key] },
      });
    const codes = async (named: Record<string, string>) => {
      const { body } = await batch(named);
      return body.results.map((result: { valid: boolean; code?: string }) => result.code ?? result.valid);
    };
    const first = await codes(headers);
    expect([first.slice(0, -1).toSorted(), first.at(-1)]).toEqual([answered(1), true]);
    expect(await codes(headers)).toEqual([...Array(LIMIT + 1).fill('rate_limited'), true]);
    expect(await codes({})).toEqual([...Array(LIMIT + 1).fill('api_key_invalid'), true]);
  });

  it('are exactly so many, also of a hundred at once', async () => {
    const headers = from(newAddress());
    const codes = await Promise.all(Array.from({ length: 100 }, () => codeOf(neverIssued(), headers)));
    expect(codes.toSorted()).toEqual(answered(100 - LIMIT));
  });

  it('are counted for a whole /64 of IPv6, and together for an address of IPv4 in whichever form', async () => {
    for (let n = 0; n < LIMIT; n += 1)
      expect(await guess(1, from(`2001:db8:5:5:${n}::${n}`))).toEqual(['api_key_invalid']);
    expect(await guess(1, from('2001:db8:5:5:ffff:ffff:ffff:ffff'))).toEqual(['rate_limited']);
    expect(await guess(1, from('2001:db8:5:6::'))).toEqual(['api_key_invalid']);
    const address = newAddress();
    expect(await guess(LIMIT, from(`::ffff:${address}`))).toEqual(answered(0));
    expect(await guess(1, from(address))).toEqual(['rate_limited']);
  });
});

describe('From an address that is limited', () => {
  it('a good key is good, from memory and where the database has to be asked', async () => {
    const headers = from(newAddress());
    const known = (await service.issueKey(newOrganization())).key;
    expect(await codeOf(known, headers)).toBe('valid');
    await guess(LIMIT + 1, headers);
    expect(await codeOf(known, headers)).toBe('valid');
    for (let n = 0; n < 5; n += 1) {
      const { key } = await other.issueKey(newOrganization());
      expect(await codeOf(key, headers)).toBe('valid');
    }
    expect(await guess(1, headers)).toEqual(['rate_limited']);
  });

  it('a good key is good in the middle of a flood of others', async () => {
    const headers = from(newAddress());
    await guess(LIMIT + 1, headers);
    const good = await Promise.all(Array.from({ length: 10 }, () => other.issueKey(newOrganization())));
    const flood = Array.from({ length: 300 }, (_, n) =>
      codeOf(n % 30 === 0 ? String(good[n / 30]?.key) : neverIssued(), headers),
    );
    const codes = await Promise.all(flood);
    expect(codes.filter((code) => code === 'valid')).toHaveLength(10);
    expect(new Set(codes)).toEqual(new Set(['valid', 'rate_limited']));
  });

  it('a key that somebody has issued is told what is wrong with it, which is no guess and not counted', async () => {
    const org = newOrganization();
    const [revoked, disabled, elsewhere] = [
      await service.issueKey(org),
      await service.issueKey(org),
      await service.issueKey(org, { ipAllowList: [] }),
    ];
    await service.asService('DELETE', `/internal/api-keys/${revoked.id}?clerkOrgId=${org}`);
    await service.asService('PATCH', `/internal/api-keys/${disabled.id}`, { clerkOrgId: org, enabled: false });
    const headers = from(newAddress());
    const codes = async () => [
      await codeOf(revoked.key, headers),
      await codeOf(disabled.key, headers),
      await codeOf(elsewhere.key, headers),
    ];
    for (let n = 0; n < LIMIT; n += 1) {
      expect(await codes()).toEqual(['api_key_revoked', 'api_key_disabled', 'ip_not_allowed']);
      expectProblem(await service.request('GET', '/validate', { headers }), 401, 'api_key_missing');
    }
    expect(await guess(LIMIT + 1, headers)).toEqual(answered(1));
    expect(await codes()).toEqual(['api_key_revoked', 'api_key_disabled', 'ip_not_allowed']);
  });
});

describe('Nothing is counted', () => {
  it.each<[what: string, headers: Record<string, string>]>([
    ['for a gateway that names no client', { 'X-Service-Key': SERVICE_KEY }],
    ['for an address that nobody is believed to name', { 'X-Client-IP': '203.0.113.1', 'X-Service-Key': 'wrong' }],
    ['for what a proxy says that nobody trusts', { 'X-Forwarded-For': '203.0.113.1' }],
  ])('%s', async (_what, headers) => {
    expect(await guess(3 * LIMIT, headers)).toEqual(Array(3 * LIMIT).fill('api_key_invalid'));
  });

  it('for a trusted proxy itself, nor for a client that it calls unknown; but for the client that it names', async () => {
    const guesses = (forwarded: Record<string, string>) => guess(LIMIT + 1, forwarded, { at: other });
    expect(await guesses({})).toEqual(Array(LIMIT + 1).fill('api_key_invalid'));
    expect(await guesses({ 'X-Forwarded-For': '127.0.0.9' })).toEqual(Array(LIMIT + 1).fill('api_key_invalid'));
    expect(await guesses({ 'X-Forwarded-For': 'unknown' })).toEqual(Array(LIMIT + 1).fill('api_key_invalid'));
    expect(await guesses({ 'X-Forwarded-For': newAddress() })).toEqual(answered(1));
  });

  it('where the limit is 0', async () => {
    const unlimited = await startService({ beside: service, environment: { GUESSING_LIMIT: '0' } });
    const codes = await guess(150, from(newAddress()), { at: unlimited });
    expect(new Set(codes)).toEqual(new Set(['api_key_invalid']));
    await unlimited.stop();
  });
});
