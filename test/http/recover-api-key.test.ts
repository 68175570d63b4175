import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0' } });
});
afterAll(() => service.stop());

interface Key {
  org: string;
  id: string;
  key: string;
}

async function recoverable(settings: Record<string, unknown> = {}, org = newOrganization()): Promise<Key> {
  const { id, key } = await service.issueKey(org, { recoverable: true, ...settings });
  return { org, id, key };
}
const recover = ({ org, id }: Pick<Key, 'org' | 'id'>) =>
  service.asService('GET', `/internal/api-keys/${id}/recover?clerkOrgId=${org}`);
const itemOf = async ({ org, id }: Pick<Key, 'org' | 'id'>) =>
  (await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`)).body;
const update = ({ org, id }: Key, change: Record<string, unknown>) =>
  service.asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, ...change });
const rotate = ({ org, id }: Key, gracePeriodSeconds = 0) =>
  service.asService('POST', `/internal/api-keys/${id}/rotate`, { clerkOrgId: org, gracePeriodSeconds });
const copiesOf = ({ id }: Pick<Key, 'id'>) =>
  service.sql<{ sealed: Buffer }>('select sealed from key_service.api_key_copies where api_key_id = $1', [id]);
const actionsOf = async ({ org, id }: Key) =>
  (await listEvents(service, { clerkOrgId: org })).events
    .filter(({ target }) => target.id === id)
    .map(({ action }) => action);

describe('an API key that was issued as recoverable', () => {
  it('is revealed again, and again, as it was issued', async () => {
    const key = await recoverable({ name: 'Kept' });
    for (let time = 0; time < 2; time += 1) {
      const { status, body, headers } = await recover(key);
      expect({ status, body }).toEqual({
        status: 200,
        body: { id: key.id, key: key.key, keyPrefix: key.key.slice(0, 12), name: 'Kept' },
      });
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect((await service.asHolder(key.key, '/validate')).status).toBe(200);
  });

  it('says so in its item, in lists and where it is issued; every other says that it is not', async () => {
    const org = newOrganization();
    const { body } = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org, recoverable: true });
    expect(body).toMatchObject({ recoverable: true, message: expect.stringContaining('recover') });
    const other = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org, recoverable: false });
    expect(other.body).toMatchObject({ recoverable: false, message: expect.stringContaining('once') });
    const list = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
    expect(list.body.keys.map((key: Record<string, unknown>) => key['recoverable'])).toEqual([false, true]);
    expect(await itemOf({ org, id: body.id })).toMatchObject({ recoverable: true });
    expect(list.text).not.toContain(body.key);
  });

  it('rests sealed, and in no other form', async () => {
    const key = await recoverable();
    const [copy] = await copiesOf(key);
    const rows = await service.sql<{ row: string }>('select t::text as row from key_service.api_key_copies t');
    const bytes = copy?.sealed ?? Buffer.alloc(0);
    expect(bytes.length).toBe(45 + key.key.length);
    expect(bytes.includes(key.key.slice(10, 20))).toBe(false);
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(key.key.slice(10, 20)).toString('hex'));
  });

  it('is recorded as recoverable, and each recovery before it is answered', async () => {
    const key = await recoverable();
    await recover(key);
    await recover(key);
    const { events } = await listEvents(service, { clerkOrgId: key.org });
    expect(events).toMatchObject([
      {
        action: 'api_key.recovered',
        actor: { kind: 'service', name: 'root' },
        target: { type: 'api-key', id: key.id },
      },
      { action: 'api_key.recovered' },
      { action: 'api_key.issued', details: { recoverable: true } },
    ]);
    expect(JSON.stringify(events)).not.toContain(key.key);
  });

  it('is no use of the key', async () => {
    const key = await recoverable();
    await recover(key);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect((await itemOf(key)).lastUsedAt).toBeNull();
  });

  it('goes on as it was when its other settings are changed', async () => {
    const key = await recoverable();
    expect((await update(key, { name: 'New', scopes: ['a'] })).body).toMatchObject({ recoverable: true, revision: 2 });
    expect((await recover(key)).body).toMatchObject({ key: key.key, name: 'New' });
  });

  it('has a successor that is recoverable when it is rotated, and is so no longer, in its time of grace either', async () => {
    const old = await recoverable();
    const { body } = await rotate(old, 600);
    expect(body).toMatchObject({ recoverable: true, previous: { recoverable: false } });
    expect((await recover({ org: old.org, id: body.id })).body.key).toBe(body.key);
    expectProblem(await recover(old), 409, 'api_key_not_recoverable');
    expect(await copiesOf(old)).toEqual([]);
    expect((await service.asHolder(old.key, '/validate')).status).toBe(200);
    const next = await rotate({ org: old.org, id: body.id, key: body.key });
    expect((await recover({ org: old.org, id: next.body.id })).body.key).toBe(next.body.key);
    const plain = await service.issueKey(old.org);
    expect((await rotate({ ...plain, org: old.org })).body.recoverable).toBe(false);
  });

  it('has one successor, which is recoverable, when two rotate it at the same time', async () => {
    const old = await recoverable();
    const answers = await Promise.all([rotate(old), rotate(old), rotate(old)]);
    const made = answers.filter(({ status }) => status === 201);
    expect(made).toHaveLength(1);
    expect((await recover({ org: old.org, id: made[0]?.body.id })).body.key).toBe(made[0]?.body.key);
  });
});

describe('GET /internal/api-keys/:id/recover', () => {
  it('400: needs an organisation', async () => {
    const { id } = await recoverable();
    expectInvalid(await service.asService('GET', `/internal/api-keys/${id}/recover`), '/clerkOrgId');
  });

  it('400: nobody makes a key recoverable that is not, or says anything but true or false', async () => {
    const org = newOrganization();
    const plain = { ...(await service.issueKey(org)), org };
    expectInvalid(await update(plain, { recoverable: true }), '/recoverable');
    const body = { clerkOrgId: org, recoverable: 'yes' };
    expectInvalid(await service.asService('POST', '/internal/api-keys', body), '/recoverable');
  });

  it('403: asks for a permission of its own, which gives no other', async () => {
    const key = await recoverable();
    const path = `/internal/api-keys/${key.id}/recover?clerkOrgId=${key.org}`;
    const writer = await newServiceCaller(service, {
      permissions: ['api-keys:read', 'api-keys:write', 'provider-keys:reveal'],
    });
    expectProblem(await writer.as('GET', path), 403, 'service_key_forbidden');
    const recoverer = await newServiceCaller(service, { permissions: ['api-keys:recover'] });
    expect((await recoverer.as('GET', path)).body.key).toBe(key.key);
    expectProblem(await recoverer.as('GET', `/internal/api-keys?clerkOrgId=${key.org}`), 403, 'service_key_forbidden');
  });

  it('404: knows no key of another organisation, and no id that is none', async () => {
    const key = await recoverable();
    expectProblem(await recover({ ...key, org: newOrganization() }), 404, 'api_key_not_found');
    expectProblem(await recover({ ...key, id: 'no-uuid' }), 404, 'api_key_not_found');
    expect(await actionsOf(key)).toEqual(['api_key.issued']);
  });

  it('405: is the answer to HEAD, which is not recorded', async () => {
    const key = await recoverable();
    const path = `/internal/api-keys/${key.id}/recover?clerkOrgId=${key.org}`;
    const answer = await service.asService('HEAD', path);
    expect({ status: answer.status, allow: answer.headers.get('allow') }).toEqual({ status: 405, allow: 'GET' });
    expect(await actionsOf(key)).toEqual(['api_key.issued']);
  });

  it('409: reveals no key of which no copy was kept, and says so', async () => {
    const org = newOrganization();
    expectProblem(await recover({ ...(await service.issueKey(org)), org }), 409, 'api_key_not_recoverable');
  });

  const ENDS: [how: string, end: (key: Key) => Promise<unknown>][] = [
    ['revoked', ({ id, org }) => service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`)],
    ['rotated without grace', (key) => rotate(key)],
    [
      'reported as leaked',
      ({ key }) => service.asService('POST', '/internal/leak-reports', { strings: [key], source: 'test' }),
    ],
    [
      'revoked with all the others',
      ({ org }) => service.asService('POST', `/internal/organizations/${org}/revoke-api-keys`),
    ],
    [
      'revoked with SQL',
      ({ id }) => service.sql('update key_service.api_keys set revoked_at = now() where id = $1', [id]),
    ],
    ['ended with its organisation', ({ org }) => service.asService('DELETE', `/internal/organizations/${org}`)],
  ];
  it.each(ENDS)('409: reveals no key that was %s, and no copy is left of it', async (_how, end) => {
    const key = await recoverable();
    const plain = await recoverable({}, key.org);
    await end(key);
    expectProblem(await recover(key), 409, 'api_key_ended');
    expect(await copiesOf(key)).toEqual([]);
    expect((await itemOf(key)).recoverable).toBe(false);
    expect((await actionsOf(key)).filter((action) => action.startsWith('api_key.recover'))).toEqual([]);
    expect((await copiesOf(plain)).length).toBeLessThanOrEqual(1);
  });

  it('409: reveals no key that has expired or is disabled, until it is good again', async () => {
    const key = await recoverable({ expiresAt: new Date(Date.now() + 1_000).toISOString() });
    await update(key, { enabled: false });
    expectProblem(await recover(key), 409, 'api_key_not_recoverable');
    await update(key, { enabled: true });
    expect((await recover(key)).status).toBe(200);
    await expect.poll(async () => (await recover(key)).body.code, { timeout: 3_000 }).toBe('api_key_ended');
    await update(key, { expiresAt: null });
    expect((await recover(key)).body.key).toBe(key.key);
  });

  it('423: reveals nothing while reveals are frozen', async () => {
    const key = await recoverable();
    await service.asService('POST', `/internal/organizations/${key.org}/freeze-reveals`);
    expectProblem(await recover(key), 423, 'reveals_frozen');
    await service.asService('POST', `/internal/organizations/${key.org}/unfreeze-reveals`);
    expect((await recover(key)).body.key).toBe(key.key);
    expect((await actionsOf(key)).filter((action) => action.startsWith('api_key.recover'))).toEqual([
      'api_key.recovered',
    ]);
  });

  describe('500', () => {
    const change = ({ id }: Key, sealed: string) =>
      service.sql(`update key_service.api_key_copies set sealed = ${sealed} where api_key_id = $1`, [id]);
    const flip = (at: string) => `set_byte(sealed, ${at}, get_byte(sealed, ${at}) # 1)`;
    const DAMAGES: [what: string, damage: (key: Key, other: Key) => Promise<unknown>][] = [
      ['was altered', (key) => change(key, flip('octet_length(sealed) - 1'))],
      ['has another tag', (key) => change(key, flip('29'))],
      ['names another data key', (key) => change(key, flip('5'))],
      ['was emptied', (key) => change(key, "''::bytea")],
      [
        "is another key's of the organisation",
        (key, other) => change(key, `(select sealed from key_service.api_key_copies where api_key_id = '${other.id}')`),
      ],
      [
        'was sealed by a data key that was altered',
        ({ id }) =>
          service.sql(
            `update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)
             where id = (select data_key_id from key_service.api_key_copies where api_key_id = $1)`,
            [id],
          ),
      ],
    ];

    it.each(DAMAGES)(
      'is the answer where the copy %s, which is told nobody but the log and the metrics',
      async (_what, damage) => {
        const key = await recoverable();
        const other = await recoverable({}, key.org);
        await damage(key, other);
        const unreadable = async () => (await metricsOf(service)).value('key_service_unreadable_secrets_total');
        const before = Number(await unreadable());
        const answer = await recover(key);
        expectProblem(answer, 500, 'api_key_unreadable');
        expect(answer.text).not.toContain(key.key);
        expect(Number(await unreadable())).toBe(before + 1);
        const requestId = answer.headers.get('x-request-id');
        await vi.waitFor(() =>
          expect(service.logLines).toContainEqual(
            expect.objectContaining({
              level: 'error',
              msg: 'the copy of an API key does not open',
              requestId,
              apiKeyId: key.id,
            }),
          ),
        );
        await expect
          .poll(() => actionsOf(key))
          .toEqual(['api_key.recovery_failed', 'api_key.recovered', 'api_key.issued']);
        expect((await service.asHolder(key.key, '/validate')).status).toBe(200);
      },
    );
  });
});
