import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changesArrived } from '../support/changes-arrived.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectProblem, wholeAnswer } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0', CACHE_LEASE_MS: '60000' } });
});
afterAll(() => service.stop());

const validate = (key: string, path = '/validate') => service.asHolder(key, path);

/** A key that has been validated, so that memory has it. */
async function knownKey(settings: Record<string, unknown> = {}, org = newOrganization()) {
  const { key, id } = await service.issueKey(org, settings);
  await changesArrived(service);
  expect((await validate(key)).status).toBe(200);
  return { key, id, org };
}

/** Does it while a look-up of an API key cannot work. */
async function withoutTheTable<T>(work: () => Promise<T>): Promise<T> {
  await service.sql('alter table key_service.api_keys rename to api_keys_away');
  try {
    return await work();
  } finally {
    await service.sql('alter table key_service.api_keys_away rename to api_keys');
  }
}

const counted = async (what: 'hits' | 'misses') =>
  (await metricsOf(service)).value(`key_service_cache_${what}_total`, { cache: 'api-keys' }) ?? 0;
const hits = () => counted('hits');
const misses = () => counted('misses');

describe('GET /validate of a key that was validated before', () => {
  it('asks the database nothing', async () => {
    const { key: unknown } = await service.issueKey(newOrganization());
    const { key } = await knownKey();
    await withoutTheTable(async () => {
      for (let n = 0; n < 20; n += 1) expect((await validate(key)).status).toBe(200);
      expect((await validate(unknown)).status).toBeGreaterThanOrEqual(500);
    });
    expect((await validate(unknown)).status).toBe(200);
  });

  it('is counted as answered from memory', async () => {
    const { key } = await knownKey();
    const before = await hits();
    for (let n = 0; n < 10; n += 1) await validate(key);
    expect((await hits()) - before).toBe(10);
  });

  it('is answered from memory byte by byte as it was from the database', async () => {
    const settings = { name: 'ключ ✨', scopes: ['read:orders'], metadata: { note: '鍵 🔑 é', tags: ['a', null] } };
    const { key } = await service.issueKey(newOrganization(), settings);
    await changesArrived(service);
    const headers = { Authorization: `Bearer ${key}`, 'X-Request-Id': 'the-same' };
    const [fromDatabase, fromMemory, again] = [
      await service.request('GET', '/validate', { headers }),
      await service.request('GET', '/validate', { headers }),
      await service.request('GET', '/validate', { headers }),
    ];
    expect(fromDatabase.body.apiKey).toMatchObject(settings);
    expect(wholeAnswer(fromMemory)).toEqual(wholeAnswer(fromDatabase));
    expect(wholeAnswer(again)).toEqual(wholeAnswer(fromDatabase));
  });

  it('says how long it is in bytes, whatever alphabet its metadata is in', async () => {
    const { key } = await knownKey({ metadata: { text: 'ключ-鍵-🔑-é-"\\' } });
    for (let n = 0; n < 2; n += 1) {
      const { status, headers, text, rest, body } = await sendRaw(
        service.port,
        requestHead('GET /validate', `Authorization: Bearer ${key}`),
      );
      expect({ status, rest }).toEqual({ status: 200, rest: '' });
      expect(Number(headers.get('content-length'))).toBe(Buffer.byteLength(text));
      expect(body.apiKey.metadata).toEqual({ text: 'ключ-鍵-🔑-é-"\\' });
    }
  });

  it('has for HEAD the headers of GET and no body, without the database too', async () => {
    const { key } = await knownKey();
    const headers = { Authorization: `Bearer ${key}` };
    const get = await service.request('GET', '/validate', { headers });
    const head = await withoutTheTable(() => service.request('HEAD', '/validate', { headers }));
    expect({ status: head.status, text: head.text }).toEqual({ status: 200, text: '' });
    for (const name of ['content-type', 'content-length', 'cache-control']) {
      expect(head.headers.get(name), name).toBe(get.headers.get(name));
    }
  });

  it('checks scopes against the key in memory, each request by itself', async () => {
    const { key } = await knownKey({ scopes: ['read:orders'] });
    await withoutTheTable(async () => {
      for (let n = 0; n < 2; n += 1) {
        expect((await validate(key, '/validate?scope=read:orders')).status).toBe(200);
        expectProblem(await validate(key, '/validate?scope=write:orders'), 403, 'insufficient_scope');
      }
    });
  });

  it('checks expiry each time: it is good until that instant and not from then on', async () => {
    const expiresAt = Date.now() + 1_000;
    const { key } = await service.issueKey(newOrganization(), { expiresAt: new Date(expiresAt).toISOString() });
    const seen = new Set<number>();
    while (!seen.has(401)) {
      const began = Date.now();
      const { status, body } = await validate(key);
      if (Date.now() < expiresAt) expect(status).toBe(200);
      if (began >= expiresAt) expect({ status, code: body.code }).toEqual({ status: 401, code: 'api_key_expired' });
      seen.add(status);
    }
    expect(seen).toEqual(new Set([200, 401]));
  });

  it('is a use of the key like any other', async () => {
    const { key, id, org } = await knownKey();
    const before = Date.now();
    await withoutTheTable(() => validate(key));
    await expect
      .poll(async () => {
        const { body } = await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
        return new Date(body.lastUsedAt ?? 0).getTime();
      })
      .toBeGreaterThanOrEqual(before);
  });
});

describe('GET /validate of a key that is unknown', () => {
  it('asks the database once', async () => {
    const { key } = await knownKey();
    const unknown = 'not-a-key-that-anybody-issued';
    expectProblem(await validate(unknown), 401, 'api_key_invalid');
    await withoutTheTable(async () => {
      expectProblem(await validate(unknown), 401, 'api_key_invalid');
      expect((await validate(key)).status).toBe(200);
    });
  });
});

describe('requests for one key at the same moment', () => {
  it('are answered by one look-up', async () => {
    const { key } = await service.issueKey(newOrganization());
    const before = await misses();
    const locker = new pg.Client({ connectionString: service.databaseUrl });
    await locker.connect();
    await locker.query('begin; lock table key_service.api_keys in access exclusive mode');
    const answers = Array.from({ length: 20 }, () => validate(key));
    await expect.poll(async () => (await misses()) - before, { interval: 5 }).toBe(20);
    // By its start: PostgreSQL shows the first kilobyte of a statement.
    const lookUps = await locker.query(
      `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
        and query like 'select "key_service"."api_keys"."key_hash"%'`,
    );
    await locker.query('rollback');
    await locker.end();
    expect(lookUps.rowCount).toBe(1);
    expect(new Set((await Promise.all(answers)).map(({ status }) => status))).toEqual(new Set([200]));
  });
});
