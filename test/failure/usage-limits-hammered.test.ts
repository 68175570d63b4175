import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../support/client.ts';
import { newOrganization } from '../support/client.ts';
import { type ReplicaProcess, startReplicaProcess } from '../support/replica-process.ts';
import { countdownFrom, expectExactly, hammer, isUsedUp } from '../support/usage-limits.ts';

/** Times that each flood is let loose. */
const ROUNDS = 5;
/** At each of the four. */
const CLIENTS = 16;

let replicas: ReplicaProcess[];
const org = newOrganization();
beforeAll(async () => {
  const first = await startReplicaProcess();
  const rest = await Promise.all(Array.from({ length: 3 }, () => startReplicaProcess({ beside: first })));
  replicas = [first, ...rest];
});
afterAll(async () => {
  const [first, ...rest] = replicas;
  await Promise.all(rest.map((replica) => replica.stop()));
  await first?.stop();
});

const first = () => replicas[0] as ReplicaProcess;
const issue = (settings: Record<string, unknown>) => first().issueKey(org, settings);
const patch = (id: string, change: Record<string, unknown>) =>
  first().asService('PATCH', `/internal/api-keys/${id}`, { clerkOrgId: org, ...change });
const limitOf = async (id: string) => {
  const [limit] = await first().sql<{ remaining: string; refill_at: Date }>(
    `select remaining, refill_at from key_service.api_key_usage_limits
     where id = (select usage_limit_id from key_service.api_keys where id = $1)`,
    [id],
  );
  return limit;
};
const remainingIn = async (id: string) => Number((await limitOf(id))?.remaining);
const refillAtOf = async (id: string) => Number((await limitOf(id))?.refill_at.getTime());
const flood = (key: string, until: (answer: Answer) => boolean = isUsedUp) =>
  hammer({ targets: replicas, key, clients: CLIENTS, until });

describe('Four processes that validate one key as fast as they can', { timeout: 120_000 }, () => {
  it.each(Array.from({ length: ROUNDS }, (_, round) => 500 + round))(
    'accept it %i times, each with another number of uses left, and not once more',
    async (uses) => {
      const { key } = await issue({ remainingUses: uses });
      expectExactly(await flood(key), countdownFrom(uses));
    },
  );

  it('accept it as often again when it is filled up meanwhile, and not once more', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { id, key } = await issue({ remainingUses: 300, refill: { amount: 200, interval: 'day' } });
      let over = false;
      const hammering = flood(key, () => over);
      await expect.poll(() => remainingIn(id)).toBe(0);
      // Midnight comes while all of them ask.
      await first().sql(`update key_service.api_key_usage_limits set refill_at = clock_timestamp() + interval '30 ms'
        where id = (select usage_limit_id from key_service.api_keys where id = '${id}')`);
      await expect.poll(() => refillAtOf(id)).toBeGreaterThan(Date.now() + 1_000);
      await expect.poll(() => remainingIn(id)).toBe(0);
      over = true;
      expectExactly(await hammering, [...countdownFrom(300), ...countdownFrom(200)]);
    }
  });

  it('accept it as often as a PATCH under way says, from then on', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { id, key } = await issue({ remainingUses: 1_000_000 });
      const hammering = flood(key);
      expect((await patch(id, { remainingUses: 400 })).status).toBe(200);
      const { remaining, refusals } = await hammering;
      expectExactly({ remaining: remaining.filter((left) => left < 100_000), refusals }, countdownFrom(400));
    }
  });

  it('accept it and its successors so often together, though it is rotated under way', async () => {
    const old = await issue({ remainingUses: 1_500 });
    const ofOld = flood(old.key);
    const rotate = { clerkOrgId: org, gracePeriodSeconds: 3_600 };
    const { status, body } = await first().asService('POST', `/internal/api-keys/${old.id}/rotate`, rotate);
    expect(status).toBe(201);
    const both = await Promise.all([ofOld, flood(body.key)]);
    const together = {
      remaining: both.flatMap(({ remaining }) => remaining),
      refusals: new Set(both.flatMap(({ refusals }) => [...refusals])),
    };
    expectExactly(together, countdownFrom(1_500));
  });
});

describe('Four processes that validate many keys at once, in every order', { timeout: 120_000 }, () => {
  it('count each by itself, and never wait for one another in a circle', async () => {
    const keys = await Promise.all(Array.from({ length: 40 }, () => issue({ remainingUses: 50 })));
    const floods = keys.map(({ key }, index) => {
      const turned = replicas.map((_, place) => replicas[(place + index) % replicas.length] as ReplicaProcess);
      return hammer({ targets: turned, key, clients: 2, until: isUsedUp });
    });
    for (const hammered of await Promise.all(floods)) expectExactly(hammered, countdownFrom(50));
    const [row] = await first().sql<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(Number(row?.deadlocks)).toBe(0);
  });
});
