import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/key-format.ts';
import { listEvents } from '../support/audit.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

const PEER = '127.0.0.1';
const CLIENT = '203.0.113.7';

interface Holder {
  org: string;
  key: string;
}

/** An organisation with a key for openai, and an API key of its own. */
async function newHolder(service: TestService): Promise<Holder> {
  const org = newOrganization();
  const { key } = await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key-0000');
  return { org, key };
}

/** The address that is on record of a reveal that was asked for with these headers. */
async function addressOf(service: TestService, { org, key }: Holder, headers: Record<string, string>) {
  const answer = await service.request('GET', '/validate/keys/openai', {
    headers: { Authorization: `Bearer ${key}`, ...headers },
  });
  expect(answer.status, answer.text).toBe(200);
  const { events } = await listEvents(service, { clerkOrgId: org, action: 'provider_key.revealed', limit: '1' });
  expect(events[0]?.requestId).toBe(answer.headers.get('x-request-id'));
  return events[0]?.address;
}

describe('The address of a client', () => {
  let service: TestService;
  let holder: Holder;
  beforeAll(async () => {
    service = await startService({ environment: { METRICS_PORT: '0', CACHE_LEASE_MS: '60000' } });
    holder = await newHolder(service);
  });
  afterAll(() => service.stop());
  const recorded = (headers: Record<string, string>) => addressOf(service, holder, headers);
  const named = (address: string, key = SERVICE_KEY) => ({ 'X-Client-IP': address, 'X-Service-Key': key });

  it.each<[what: string, headers: Record<string, string>]>([
    ['nothing is said of it', {}],
    ['a proxy that nobody trusts speaks', { 'X-Forwarded-For': CLIENT, Forwarded: `for=${CLIENT}` }],
    ['it is named without a service key', { 'X-Client-IP': CLIENT }],
    ['it is named with a service key that is empty', { 'X-Client-IP': CLIENT, 'X-Service-Key': '' }],
    ['it is named with a wrong service key', named(CLIENT, 'no-service-key')],
    ['it is named with one of the right shape that nobody issued', named(CLIENT, generateKey('ks', 'service').key)],
    ['it is named with an API key', named(CLIENT, generateKey('ks', 'live').key)],
    ['the service key is sent elsewhere', { 'X-Client-IP': CLIENT, 'X-API-Key': SERVICE_KEY }],
    ['it is no address, and the service key is wrong', named('nowhere', 'no-service-key')],
  ])('is the peer’s when %s', async (_what, headers) => {
    expect(await recorded(headers)).toBe(PEER);
  });

  it('is the peer’s when the service key is sent twice', async () => {
    const requestId = `twice-${Date.now()}`;
    const answer = await sendRaw(
      service.port,
      requestHead(
        'GET /validate/keys/openai',
        `Authorization: Bearer ${holder.key}`,
        `X-Request-Id: ${requestId}`,
        `X-Client-IP: ${CLIENT}`,
        `X-Service-Key: ${SERVICE_KEY}`,
        `X-Service-Key: ${SERVICE_KEY}`,
      ),
    );
    expect(answer.status).toBe(200);
    const { events } = await listEvents(service, { clerkOrgId: holder.org, limit: '1' });
    expect(events[0]).toMatchObject({ requestId, address: PEER });
  });

  it.each([
    [CLIENT, CLIENT],
    ['::ffff:203.0.113.7', CLIENT],
    ['203.0.113.7:51234', CLIENT],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('is the one that a service names: %s is %s', async (written, address) => {
    expect(await recorded(named(written))).toBe(address);
  });

  it('is believed of a service without any permission, and no longer when its key was revoked or has expired', async () => {
    const gateway = await newServiceCaller(service);
    expect(await recorded(named(CLIENT, gateway.key))).toBe(CLIENT);
    await service.asService('DELETE', `/internal/service-keys/${gateway.id}`);
    expect(await recorded(named(CLIENT, gateway.key))).toBe(PEER);
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const passing = await newServiceCaller(service, { expiresAt });
    expect(await recorded(named(CLIENT, passing.key))).toBe(CLIENT);
    await service.sql("update key_service.service_keys set expires_at = now() - interval '1 s' where id = $1", [
      passing.id,
    ]);
    await expect.poll(() => recorded(named(CLIENT, passing.key))).toBe(PEER);
  });

  it('is named in requests of clients alone: what a service does is on record with its own', async () => {
    const path = `/internal/keys/openai/decrypt?clerkOrgId=${holder.org}`;
    expect((await service.request('GET', path, { headers: named(CLIENT) })).status).toBe(200);
    const { events } = await listEvents(service, { clerkOrgId: holder.org, limit: '1' });
    expect(events[0]).toMatchObject({ actor: { kind: 'service' }, address: PEER });
  });

  describe('400', () => {
    const validate = (headers: Record<string, string>) =>
      service.request('GET', '/validate', { headers: { Authorization: `Bearer ${holder.key}`, ...headers } });

    it.each(['', 'unknown', '203.0.113', '203.0.113.7, 10.0.0.1', '203.0.113.0/24', 'client.example'])(
      'tells a service that %j is no address',
      async (address) => {
        const answer = await validate(named(address));
        expectInvalid(answer, '');
        expect(answer.body.detail).toContain('X-Client-IP');
        if (address !== '') expect(answer.body.detail).not.toContain(address);
      },
    );

    it('tells it that it has sent the header twice, as it would if it let through what a client has sent', async () => {
      const answer = await sendRaw(
        service.port,
        requestHead(
          'GET /validate',
          `Authorization: Bearer ${holder.key}`,
          `X-Client-IP: ${CLIENT}`,
          `X-Client-IP: ${CLIENT}`,
          `X-Service-Key: ${SERVICE_KEY}`,
        ),
      );
      expectInvalid(answer, '');
    });

    it('is no answer to who has no API key, nor to a service that is not known', async () => {
      const answer = await service.request('GET', '/validate', { headers: named('nowhere') });
      expectProblem(answer, 401, 'api_key_missing');
      expect((await validate(named('nowhere', 'no-service-key'))).status).toBe(200);
    });
  });

  describe('is asked of the database', () => {
    const lookUps = async () =>
      (await metricsOf(service)).value('key_service_cache_misses_total', { cache: 'service-keys' }) ?? 0;

    it('for no request that does not name one, and once for a service key that memory does not have', async () => {
      const { key } = await newServiceCaller(service);
      const before = await lookUps();
      for (let n = 0; n < 5; n += 1) expect(await recorded({ 'X-Service-Key': key })).toBe(PEER);
      expect((await lookUps()) - before).toBe(0);
      expect(await recorded(named(CLIENT, key))).toBe(CLIENT);
      // The notification of its issue may come after the first look-up.
      await expect
        .poll(async () => {
          const asked = await lookUps();
          await recorded(named(CLIENT, key));
          return (await lookUps()) - asked;
        })
        .toBe(0);
    });

    it('in vain: a good API key is good all the same, and the peer’s address is on record', async () => {
      const { key } = await newServiceCaller(service);
      await service.sql('alter table key_service.service_keys rename to service_keys_away');
      try {
        expect(await recorded(named(CLIENT, key))).toBe(PEER);
      } finally {
        await service.sql('alter table key_service.service_keys_away rename to service_keys');
      }
      expect(await recorded(named(CLIENT, key))).toBe(CLIENT);
    });
  });
});

describe.each([
  ['one proxy', '1'],
  ['proxies on this machine', 'loopback'],
  ['proxies in some ranges', '10.0.0.0/8, ::ffff:127.0.0.1, fd00::/8'],
])('The address of a client behind %s', (_what, trusted) => {
  let service: TestService;
  let holder: Holder;
  beforeAll(async () => {
    service = await startService({ environment: { TRUST_PROXY: trusted } });
    holder = await newHolder(service);
  });
  afterAll(() => service.stop());

  it.each<[what: string, headers: Record<string, string>, address: string | null]>([
    ['the last that the proxy names', { 'X-Forwarded-For': `198.51.100.1, ${CLIENT}` }, CLIENT],
    ['without the port that some proxies add', { 'X-Forwarded-For': `${CLIENT}:51234` }, CLIENT],
    ['in one form', { 'X-Forwarded-For': '2001:DB8:0::1' }, '2001:db8::1'],
    ['the proxy’s own where it names none', {}, PEER],
    ['unknown where the proxy says so', { 'X-Forwarded-For': 'unknown' }, null],
    [
      'what a service names before that',
      { 'X-Forwarded-For': '198.51.100.1', 'X-Client-IP': CLIENT, 'X-Service-Key': SERVICE_KEY },
      CLIENT,
    ],
    ['not what anybody else names', { 'X-Forwarded-For': CLIENT, 'X-Client-IP': '198.51.100.1' }, CLIENT],
  ])('is %s', async (_case, headers, address) => {
    expect(await addressOf(service, holder, headers)).toBe(address);
  });

  it('is on record of what services do, too', async () => {
    await service.request('GET', `/internal/keys/openai/decrypt?clerkOrgId=${holder.org}`, {
      headers: { 'X-Service-Key': SERVICE_KEY, 'X-Forwarded-For': CLIENT },
    });
    const { events } = await listEvents(service, { clerkOrgId: holder.org, limit: '1' });
    expect(events[0]).toMatchObject({ actor: { kind: 'service' }, address: CLIENT });
  });
});

describe('The address of a client behind a chain of proxies', () => {
  it('is the first, from the end, that is none of them', async () => {
    const service = await startService({ environment: { TRUST_PROXY: 'loopback,10.0.0.0/8' } });
    const holder = await newHolder(service);
    const forwarded = (list: string) => addressOf(service, holder, { 'X-Forwarded-For': list });
    expect(await forwarded(`198.51.100.1, ${CLIENT}, 10.1.1.1, 10.2.2.2`)).toBe(CLIENT);
    expect(await forwarded(`${CLIENT}, ::ffff:10.1.1.1`)).toBe(CLIENT);
    expect(await forwarded('10.1.1.1, 10.2.2.2')).toBe('10.1.1.1');
    await service.stop();
  });
});
