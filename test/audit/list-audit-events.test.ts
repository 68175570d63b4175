import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ListedEvent, listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
/** Two organisations with eleven events each; their sixth is of a later instant than the fifth. */
const orgs = [newOrganization(), newOrganization()] as const;
let middle: string;
let apiKeyId: string;
beforeAll(async () => {
  service = await startService();
  const holders = [];
  for (const org of orgs) {
    holders.push(await service.issueKey(org));
    for (let n = 1; n < 5; n += 1) await service.saveProviderKey(org, 'openai', `sk-not-a-real-key-${n}`);
  }
  await sleep(5);
  middle = new Date().toISOString();
  for (const [n, org] of orgs.entries()) {
    for (let time = 0; time < 3; time += 1) await service.asHolder(holders[n]?.key ?? '', '/validate/keys/openai');
    for (let time = 0; time < 3; time += 1)
      await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
  }
  apiKeyId = holders[0]?.id ?? '';
});
afterAll(() => service.stop());

const list = (query: Record<string, string>) => listEvents(service, query);
const sequencesOf = (events: ListedEvent[]) => events.map(({ sequence }) => sequence);
const NEWEST_FIRST = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1];

async function listAll(query: Record<string, string>): Promise<ListedEvent[][]> {
  const pages: ListedEvent[][] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = await list({ ...query, ...(cursor === '' ? {} : { cursor }) });
    pages.push(page.events);
    cursor = page.nextCursor;
  }
  return pages;
}

describe('GET /internal/audit-events 200', () => {
  it("lists an organisation's events, newest first, and no other's", async () => {
    const { events, nextCursor } = await list({ clerkOrgId: orgs[0] });
    expect(sequencesOf(events)).toEqual(NEWEST_FIRST);
    expect(new Set(events.map(({ clerkOrgId }) => clerkOrgId))).toEqual(new Set([orgs[0]]));
    expect(nextCursor).toBeNull();
  });

  it.each([1, 3, 5, 11])('is paged by %i, without gaps and without repeating one', async (limit) => {
    const pages = await listAll({ clerkOrgId: orgs[0], limit: String(limit) });
    expect(sequencesOf(pages.flat())).toEqual(NEWEST_FIRST);
    expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
  });

  it('goes on where it was when events are added meanwhile', async () => {
    const own = newOrganization();
    for (let n = 0; n < 4; n += 1) await service.issueKey(own);
    const first = await list({ clerkOrgId: own, limit: '2' });
    await service.issueKey(own);
    const second = await list({ clerkOrgId: own, limit: '2', cursor: first.nextCursor ?? '' });
    expect([sequencesOf(first.events), sequencesOf(second.events)]).toEqual([
      [4, 3],
      [2, 1],
    ]);
    expect(second.nextCursor).toBeNull();
  });

  it('is of all organisations without one, newest first', async () => {
    const events = (await listAll({ limit: '7' })).flat();
    expect(new Set(events.map(({ clerkOrgId }) => clerkOrgId)).size).toBeGreaterThanOrEqual(2);
    const order = events.map(({ occurredAt, id }) => `${occurredAt} ${id}`);
    expect(order).toEqual(order.toSorted().reverse());
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  });

  it('is of one action', async () => {
    const saved = await list({ clerkOrgId: orgs[0], action: 'provider_key.saved' });
    expect(sequencesOf(saved.events)).toEqual([5, 4, 3, 2]);
    const revealed = (await listAll({ clerkOrgId: orgs[0], action: 'provider_key.revealed', limit: '4' })).flat();
    expect(sequencesOf(revealed)).toEqual([11, 10, 9, 8, 7, 6]);
  });

  it('is of one actor', async () => {
    const { events } = await list({ actor: `api-key:${apiKeyId}` });
    expect(sequencesOf(events)).toEqual([8, 7, 6]);
    const root = await list({ clerkOrgId: orgs[0], actor: 'service:root' });
    expect(sequencesOf(root.events)).toEqual([11, 10, 9, 5, 4, 3, 2, 1]);
    expect((await list({ actor: 'service:nobody' })).events).toEqual([]);
    expect((await list({ actor: `service:${apiKeyId}` })).events).toEqual([]);
  });

  it('is of a time: from its first instant, up to and without its last', async () => {
    expect(sequencesOf((await list({ clerkOrgId: orgs[0], since: middle })).events)).toEqual([11, 10, 9, 8, 7, 6]);
    expect(sequencesOf((await list({ clerkOrgId: orgs[0], until: middle })).events)).toEqual([5, 4, 3, 2, 1]);
    const { events } = await list({ clerkOrgId: orgs[0] });
    const at = events[4]?.occurredAt ?? '';
    const since = (await list({ clerkOrgId: orgs[0], since: at })).events;
    const until = (await list({ clerkOrgId: orgs[0], until: at })).events;
    expect(sequencesOf([...since, ...until])).toEqual(NEWEST_FIRST);
    expect(sequencesOf(since)).toContain(7);
    expect((await list({ clerkOrgId: orgs[0], since: middle, until: middle })).events).toEqual([]);
    const withOffset = middle.replace('Z', '+00:00');
    expect((await list({ clerkOrgId: orgs[0], since: withOffset })).events).toHaveLength(6);
  });

  it('is empty for an organisation that is not known', async () => {
    expect(await list({ clerkOrgId: newOrganization() })).toEqual({ events: [], nextCursor: null });
  });

  it('shows what a later version has recorded', async () => {
    await service.sql(`insert into key_service.audit_events select gen_random_uuid(), chain, 12, occurred_at + interval '1 hour',
      'a-later-kind', 'x', 'a_later.action', 'a-later-type', null, null, 'r', null, '{"list": ["a"], "some": 1, "flag": true}',
      data_key_id, mac from key_service.audit_events where sequence = 11 limit 1`);
    const { events } = await list({ limit: '1' });
    expect(events[0]).toMatchObject({ action: 'a_later.action', details: { list: ['a'], some: 1, flag: true } });
    await service.sql("delete from key_service.audit_events where action = 'a_later.action'");
  });
});

describe('GET /internal/audit-events refused', () => {
  it.each([
    ['limit', '0'],
    ['limit', '101'],
    ['limit', 'ten'],
    ['cursor', 'x'],
    ['cursor', Buffer.from('2026-01-01T00:00:00.000Z|x').toString('base64url')],
    ['action', 'api_key.stolen'],
    ['actor', 'root'],
    ['actor', 'nobody:root'],
    ['actor', 'service:'],
    ['since', 'yesterday'],
    ['since', '2026-02-30T00:00:00Z'],
    ['since', '0000-01-01T00:00:00Z'],
    ['until', '2026-01-01'],
    ['clerkOrgId', 'org x'],
    ['clerkOrgId', ''],
  ])('400: %s=%s', async (name, value) => {
    const query = new URLSearchParams({ [name]: value });
    expectInvalid(await service.asService('GET', `/internal/audit-events?${query}`), `/${name}`);
  });

  it('401 without a service key, and with an API key', async () => {
    expectProblem(await service.request('GET', '/internal/audit-events'), 401, 'service_key_missing');
    const { key } = await service.issueKey(newOrganization());
    expectProblem(await service.asHolder(key, '/internal/audit-events'), 401, 'service_key_invalid');
  });
});
