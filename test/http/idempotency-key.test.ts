import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { holdOrganization, isReplayed, keyed, newIdempotencyKey } from '../support/keyed-request.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0', JANITOR_MS: '50' } });
});
afterAll(() => service.stop());

const API_KEYS = '/internal/api-keys';
const send = (key: string, path: string, body: unknown, serviceKey?: string) =>
  keyed(service, key, path, body, serviceKey);

async function keysOf(org: string): Promise<{ id: string }[]> {
  return (await service.asService('GET', `${API_KEYS}?clerkOrgId=${org}&includeRevoked=true`)).body.keys;
}
const serviceKeyWith = async (...permissions: string[]): Promise<string> =>
  (await service.asService('POST', '/internal/service-keys', { name: 'buyer', permissions })).body.key;

const newName = () => `name-${randomUUID()}`;

/** Every route that takes a key, with what it is sent once all is prepared for it. */
const ROUTES = [
  { route: 'POST /internal/api-keys', prepare: async () => [API_KEYS, { clerkOrgId: newOrganization() }] as const },
  {
    route: 'POST /internal/api-keys/session',
    prepare: async () => [`${API_KEYS}/session`, { clerkOrgId: newOrganization() }] as const,
  },
  {
    route: 'POST /internal/api-keys/:id/rotate',
    async prepare() {
      const clerkOrgId = newOrganization();
      const { id } = await service.issueKey(clerkOrgId);
      return [`${API_KEYS}/${id}/rotate`, { clerkOrgId, gracePeriodSeconds: 60 }] as const;
    },
  },
  {
    route: 'POST /internal/service-keys',
    prepare: async () => ['/internal/service-keys', { name: newName() }] as const,
  },
  {
    route: 'POST /internal/keys',
    prepare: async () =>
      ['/internal/keys', { clerkOrgId: newOrganization(), provider: 'openai', apiKey: 'sk-not-a-real-key' }] as const,
  },
  {
    route: 'POST /internal/keys/:provider/rollback',
    async prepare() {
      const clerkOrgId = newOrganization();
      await service.saveProviderKey(clerkOrgId, 'openai', 'sk-not-a-real-key-1');
      await service.saveProviderKey(clerkOrgId, 'openai', 'sk-not-a-real-key-2');
      return ['/internal/keys/openai/rollback', { clerkOrgId, version: 1 }] as const;
    },
  },
  {
    route: 'POST /internal/platform-keys',
    prepare: async () => ['/internal/platform-keys', { provider: newName(), apiKey: 'sk-not-a-real-key' }] as const,
  },
  {
    route: 'POST /internal/platform-keys/:provider/rollback',
    async prepare() {
      const provider = newName();
      for (const apiKey of ['sk-not-a-real-key-1', 'sk-not-a-real-key-2']) {
        await service.asService('POST', '/internal/platform-keys', { provider, apiKey });
      }
      return [`/internal/platform-keys/${provider}/rollback`, { version: 1 }] as const;
    },
  },
];

describe('The same request with the same Idempotency-Key', () => {
  it.each(ROUTES)('is answered the same by $route, and says that it is', async ({ prepare }) => {
    const [path, body] = await prepare();
    const key = newIdempotencyKey();
    const first = await send(key, path, body);
    expect([200, 201]).toContain(first.status);
    expect(isReplayed(first)).toBe(false);
    const again = await send(key, path, body);
    expect(isReplayed(again)).toBe(true);
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  });

  it('is every route that says so in the reference, and no other', async () => {
    const { body } = await service.request('GET', '/openapi.json');
    const documented = Object.entries<Record<string, { parameters?: { name: string }[] }>>(body.paths).flatMap(
      ([path, operations]) =>
        Object.entries(operations)
          .filter(([, { parameters = [] }]) => parameters.some(({ name }) => name === 'Idempotency-Key'))
          .map(([method]) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    );
    for (const { route } of ROUTES) expect(documented).toContain(route);
    expect(documented.filter((route) => !route.startsWith('POST '))).toEqual([]);
  });

  it('makes one API key, whose secret is the one that works', async () => {
    const org = newOrganization();
    const key = newIdempotencyKey();
    const answers = [];
    for (let n = 0; n < 3; n += 1) answers.push(await send(key, API_KEYS, { clerkOrgId: org, name: 'once' }));
    expect(new Set(answers.map(({ body }) => body.key)).size).toBe(1);
    expect((await service.asHolder(answers[2]?.body.key, '/validate')).status).toBe(200);
    expect(await keysOf(org)).toHaveLength(1);
  });

  it('may be written another way: with its fields in another order, and the key in quotes or not', async () => {
    const clerkOrgId = newOrganization();
    const key = newIdempotencyKey();
    const first = await send(key, API_KEYS, { clerkOrgId, name: 'a', metadata: { x: 1, y: { p: 1, q: 2 } } });
    const again = await send(
      `"${key}"`,
      API_KEYS,
      `{ "metadata": {"y":{"q":2,"p":1},"x":1},
      "name": "a", "clerkOrgId": "${clerkOrgId}" }`,
    );
    expect(again.text).toBe(first.text);
    expect(isReplayed(again)).toBe(true);
  });

  it('is in the audit log each time: who was given the answer again, and which it was', async () => {
    const org = newOrganization();
    const buyer = await serviceKeyWith('api-keys:write');
    const key = newIdempotencyKey();
    const first = await send(key, API_KEYS, { clerkOrgId: org }, buyer);
    const again = await send(key, API_KEYS, { clerkOrgId: org }, buyer);
    const { events } = await listEvents(service, { clerkOrgId: org });
    expect(
      events.map(({ action, actor, requestId, target, details }) => [action, actor.name, requestId, target, details]),
    ).toEqual([
      [
        'answer.repeated',
        'buyer',
        again.headers.get('x-request-id'),
        { type: 'request', id: first.headers.get('x-request-id') },
        { route: 'POST /internal/api-keys' },
      ],
      ['api_key.issued', 'buyer', first.headers.get('x-request-id'), expect.anything(), expect.anything()],
    ]);
  });

  it('is answered the same when the expiry that it names has come', async () => {
    const clerkOrgId = newOrganization();
    const expiresAt = new Date(Date.now() + 1_500).toISOString();
    const sha256 = randomBytes(32).toString('hex');
    const requests = [
      [API_KEYS, { clerkOrgId, expiresAt }],
      [`${API_KEYS}/import`, { keys: [{ clerkOrgId, sha256, expiresAt }] }],
      ['/internal/service-keys', { name: newName(), expiresAt }],
    ] as const;
    const key = newIdempotencyKey();
    const sendAll = (idempotencyKey: string) =>
      Promise.all(requests.map(([path, body]) => send(idempotencyKey, path, body)));
    const first = await sendAll(key);
    expect(first.map(({ status }) => status)).toEqual([201, 200, 201]);
    await sleep(Date.parse(expiresAt) - Date.now() + 1);
    const again = await sendAll(key);
    expect(again.map(({ text }) => text)).toEqual(first.map(({ text }) => text));
    expect(again.every(isReplayed)).toBe(true);
    const pointers = ['/expiresAt', '/keys/0/expiresAt', '/expiresAt'];
    for (const [place, answer] of (await sendAll(newIdempotencyKey())).entries()) {
      expectInvalid(answer, pointers[place] as string);
    }
  });

  it('is refused the same, whatever has become possible since, and that too is said', async () => {
    const clerkOrgId = newOrganization();
    const key = newIdempotencyKey();
    const body = { clerkOrgId, version: 1 };
    const first = await send(key, '/internal/keys/openai/rollback', body);
    expectProblem(first, 404, 'provider_key_not_found');
    await service.saveProviderKey(clerkOrgId, 'openai', 'sk-not-a-real-key');
    const again = await send(key, '/internal/keys/openai/rollback', body);
    expectProblem(again, 404, 'provider_key_not_found');
    expect([isReplayed(first), isReplayed(again)]).toEqual([false, true]);
    expect((await send(newIdempotencyKey(), '/internal/keys/openai/rollback', body)).status).toBe(200);
  });

  it('is answered anew after a refusal that its sender can mend, or that says nothing of the request', async () => {
    const clerkOrgId = newOrganization();
    const key = newIdempotencyKey();
    expectInvalid(await send(key, API_KEYS, { clerkOrgId, name: 5 }), '/name');
    expectProblem(await send(key, API_KEYS, { clerkOrgId }, 'nobody-s-key'), 401, 'service_key_invalid');
    expectProblem(await send(key, API_KEYS, { clerkOrgId }, await serviceKeyWith()), 403, 'service_key_forbidden');
    const answer = await send(key, API_KEYS, { clerkOrgId });
    expect([answer.status, isReplayed(answer)]).toEqual([201, false]);
  });

  it('is answered anew after a failure of ours', async () => {
    const clerkOrgId = newOrganization();
    await service.issueKey(clerkOrgId);
    const key = newIdempotencyKey();
    const held = await holdOrganization(service.databaseUrl, clerkOrgId);
    const failed = await send(key, API_KEYS, { clerkOrgId });
    await held.release();
    expectProblem(failed, 503, 'database_unavailable');
    const answer = await send(key, API_KEYS, { clerkOrgId });
    expect([answer.status, isReplayed(answer)]).toEqual([201, false]);
    expect(await keysOf(clerkOrgId)).toHaveLength(2);
  });

  it('is the same request after a rotation of the service key, whose name stays', async () => {
    const clerkOrgId = newOrganization();
    const key = newIdempotencyKey();
    const [before, after] = [await serviceKeyWith('api-keys:write'), await serviceKeyWith('api-keys:write')];
    const first = await send(key, API_KEYS, { clerkOrgId }, before);
    expect((await send(key, API_KEYS, { clerkOrgId }, after)).text).toBe(first.text);
  });

  it('is not answered to who may not ask any more', async () => {
    const clerkOrgId = newOrganization();
    const key = newIdempotencyKey();
    await send(key, API_KEYS, { clerkOrgId }, await serviceKeyWith('api-keys:write'));
    const answer = await send(key, API_KEYS, { clerkOrgId }, await serviceKeyWith('api-keys:read'));
    expectProblem(answer, 403, 'service_key_forbidden');
  });
});

describe('The same Idempotency-Key', () => {
  it('with another body is 422, and nothing is done', async () => {
    const clerkOrgId = newOrganization();
    const key = newIdempotencyKey();
    const first = await send(key, API_KEYS, { clerkOrgId, name: 'a' });
    expectProblem(await send(key, API_KEYS, { clerkOrgId, name: 'b' }), 422, 'idempotency_key_reused');
    expectProblem(await send(key, API_KEYS, { clerkOrgId, name: 'a', scopes: null }), 422, 'idempotency_key_reused');
    expect(await keysOf(clerkOrgId)).toHaveLength(1);
    expect((await send(key, API_KEYS, { clerkOrgId, name: 'a' })).text).toBe(first.text);
  });

  it('of another caller, for another organisation, another route or another resource is another request', async () => {
    const [org, other] = [newOrganization(), newOrganization()];
    const key = newIdempotencyKey();
    const ids = [
      (await send(key, API_KEYS, { clerkOrgId: org })).body.id,
      (await send(key, API_KEYS, { clerkOrgId: org }, await serviceKeyWith('api-keys:write'))).body.id,
      (await send(key, API_KEYS, { clerkOrgId: other })).body.id,
    ];
    for (const id of ids.slice(0, 2)) {
      const rotated = await send(key, `${API_KEYS}/${id}/rotate`, { clerkOrgId: org });
      expect([rotated.status, isReplayed(rotated)]).toEqual([201, false]);
      ids.push(rotated.body.id);
    }
    expect(new Set(ids).size).toBe(5);
  });

  it('is a new one when its 24 hours are over, and is swept away', async () => {
    const clerkOrgId = newOrganization();
    const key = newIdempotencyKey();
    const first = await send(key, API_KEYS, { clerkOrgId });
    const kept = () =>
      service.sql<{ hours: number }>(
        'select extract(epoch from expires_at - now())::int / 3600.0 as hours from key_service.idempotent_replies where request_id = $1',
        [first.headers.get('x-request-id')],
      );
    expect(Number((await kept())[0]?.hours)).toBeCloseTo(24, 1);
    await service.sql(
      "update key_service.idempotent_replies set expires_at = expires_at - interval '23 hours 59 minutes'",
    );
    expect(isReplayed(await send(key, API_KEYS, { clerkOrgId }))).toBe(true);
    await service.sql("update key_service.idempotent_replies set expires_at = expires_at - interval '1 minute'");
    const later = await send(key, API_KEYS, { clerkOrgId });
    expect([later.status, isReplayed(later)]).toEqual([201, false]);
    expect(later.body.id).not.toBe(first.body.id);
    await expect.poll(kept).toEqual([]);
    await expect
      .poll(() =>
        service.logLines.some(
          ({ msg, what }) => msg === 'what had expired was removed' && what === 'idempotent replies',
        ),
      )
      .toBe(true);
    const metrics = await metricsOf(service);
    expect(metrics.value('key_service_swept_rows_total', { what: 'idempotent replies' })).toBeGreaterThan(0);
    expect((await send(key, API_KEYS, { clerkOrgId })).text).toBe(later.text);
  });

  it('while the first is being answered is 409 with Retry-After, and afterwards what that was answered', async () => {
    const clerkOrgId = newOrganization();
    await service.issueKey(clerkOrgId);
    const key = newIdempotencyKey();
    const held = await holdOrganization(service.databaseUrl, clerkOrgId);
    const first = send(key, API_KEYS, { clerkOrgId });
    await held.untilWaiting(1);
    const second = await send(key, API_KEYS, { clerkOrgId });
    await held.release();
    expectProblem(second, 409, 'idempotency_key_in_use');
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await first).status).toBe(201);
    expect((await send(key, API_KEYS, { clerkOrgId })).text).toBe((await first).text);
  });
});

describe('A malformed Idempotency-Key', () => {
  it.each([
    ['an empty one', '""'],
    ['a long one', 'k'.repeat(256)],
    ['a long one in quotes', `"${'k'.repeat(256)}"`],
    ['one with a space', 'a b'],
    ['one with a space in quotes', '"a b"'],
    ['a quote that is not closed', '"abc'],
    ['a quote inside', 'a"b'],
    ['one with a parameter', '"abc";v=1'],
    ['one that is not ASCII', 'cl\u00e9'],
    ['two', 'a, b'],
  ])('is 400: %s', async (_what, key) => {
    expectInvalid(await send(key, API_KEYS, { clerkOrgId: newOrganization() }), '');
  });

  it('is 400 when it is sent twice', async () => {
    const headers = new Headers({ 'X-Service-Key': SERVICE_KEY, 'Content-Type': 'application/json' });
    for (const key of ['a', 'a']) headers.append('Idempotency-Key', key);
    const body = JSON.stringify({ clerkOrgId: newOrganization() });
    const response = await fetch(service.url + API_KEYS, { method: 'POST', headers, body });
    expect(response.status).toBe(400);
  });

  it.each(['k', '!', 'k'.repeat(255), `"${'k'.repeat(255)}"`, '"a\\"b\\\\c"'])('is none of these: %s', async (key) => {
    expect((await send(key, API_KEYS, { clerkOrgId: newOrganization() })).status).toBe(201);
  });
});

describe('What is kept', () => {
  it('is nothing without the header', async () => {
    const count = () => service.sql('select count(*)::int as n from key_service.idempotent_replies');
    const before = await count();
    const org = newOrganization();
    await service.issueKey(org);
    await service.issueKey(org);
    expect(await count()).toEqual(before);
    expect(await keysOf(org)).toHaveLength(2);
  });

  it('is sealed, and bound to its request: it opens in no other row', async () => {
    const [one, other] = [newOrganization(), newOrganization()];
    const key = newIdempotencyKey();
    const [first, second] = [
      await send(key, API_KEYS, { clerkOrgId: one }),
      await send(key, API_KEYS, { clerkOrgId: other }),
    ];
    const rows = await service.sql<{ row: string }>('select r::text as row from key_service.idempotent_replies r');
    for (const { row } of rows) {
      expect(row).not.toContain(first.body.key);
      expect(row).not.toContain(Buffer.from(first.body.key).toString('hex'));
      expect(row).not.toContain(key);
    }
    await service.sql(
      `update key_service.idempotent_replies a set sealed = b.sealed from key_service.idempotent_replies b
       where a.request_id = $1 and b.request_id = $2`,
      [first.headers.get('x-request-id'), second.headers.get('x-request-id')],
    );
    const moved = await send(key, API_KEYS, { clerkOrgId: one });
    expectProblem(moved, 500, 'internal_error');
    expect(moved.text).not.toContain('ks_live_');
    expect(await keysOf(one)).toHaveLength(1);
  });

  it('is counted by what became of the requests', async () => {
    const metrics = await metricsOf(service);
    for (const outcome of ['answered', 'replayed', 'reused', 'in_use']) {
      expect(metrics.value('key_service_idempotent_requests_total', { outcome }), outcome).toBeGreaterThan(0);
    }
  });
});
