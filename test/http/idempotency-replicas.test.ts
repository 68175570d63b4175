import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { isReplayed, keyed, newIdempotencyKey } from '../support/keyed-request.ts';
import { startService, type TestService } from '../support/service.ts';

const API_KEYS = '/internal/api-keys';

let here: TestService;
let there: TestService;
beforeAll(async () => {
  here = await startService();
  there = await startService({ beside: here });
  // Their connections and data keys are there: what is looked at is not how they start.
  const body = { clerkOrgId: newOrganization() };
  for (const replica of [here, there]) {
    await Promise.all(Array.from({ length: 10 }, () => keyed(replica, newIdempotencyKey(), API_KEYS, body)));
  }
});
afterAll(async () => {
  await there.stop();
  await here.stop();
});

/** The same request many times at once, every other time to the other replica. */
async function storm(path: string, body: unknown, times = 50) {
  const key = newIdempotencyKey();
  const send = (n: number) => keyed(n % 2 === 0 ? here : there, key, path, body);
  const answers = await Promise.all(Array.from({ length: times }, (_, n) => send(n)));
  for (const { status, body: problem } of answers) {
    if (status !== 201) expect([status, problem.code]).toEqual([409, 'idempotency_key_in_use']);
  }
  const made = answers.filter(({ status }) => status === 201);
  expect(made.filter((answer) => !isReplayed(answer)).length).toBe(1);
  expect(new Set(made.map(({ text }) => text)).size).toBe(1);
  expect((await send(1)).text).toBe(made[0]?.text);
  return made[0]?.body;
}

const count = async (org: string) =>
  (await here.asService('GET', `${API_KEYS}?clerkOrgId=${org}&includeRevoked=true`)).body.keys.length;

describe('Fifty times the same request at once, to two replicas', () => {
  it('make one API key, of an organisation that nobody knew before too', async () => {
    const clerkOrgId = newOrganization();
    const { key } = await storm(API_KEYS, { clerkOrgId });
    expect(await count(clerkOrgId)).toBe(1);
    for (const replica of [here, there]) expect((await replica.asHolder(key, '/validate')).status).toBe(200);
  });

  it('rotate a key once, and none of them is told that it was rotated before', async () => {
    const clerkOrgId = newOrganization();
    const { id } = await here.issueKey(clerkOrgId);
    await storm(`${API_KEYS}/${id}/rotate`, { clerkOrgId, gracePeriodSeconds: 60 });
    expect(await count(clerkOrgId)).toBe(2);
  });

  it('save a provider key once, as its first version', async () => {
    const clerkOrgId = newOrganization();
    const saved = await storm('/internal/keys', { clerkOrgId, provider: 'openai', apiKey: 'sk-not-a-real-key' });
    expect(saved).toMatchObject({ version: 1, message: 'The key is stored.' });
  });
});

it('An answer that one replica gave is given again by the other', async () => {
  const body = { clerkOrgId: newOrganization(), name: 'once' };
  const key = newIdempotencyKey();
  const first = await keyed(here, key, API_KEYS, body);
  const again = await keyed(there, key, API_KEYS, body);
  expect([again.status, again.text, isReplayed(again)]).toEqual([201, first.text, true]);
});
