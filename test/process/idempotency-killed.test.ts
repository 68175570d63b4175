import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { holdOrganization, keyed, newIdempotencyKey } from '../support/keyed-request.ts';
import { type ReplicaProcess, startReplicaProcess } from '../support/replica-process.ts';

const API_KEYS = '/internal/api-keys';
/** What a client waits at most for a first that died. */
const LONGEST_WAIT_MS = 60_000;
const AT_ONCE = 20;

let survivor: ReplicaProcess;
beforeAll(async () => {
  survivor = await startReplicaProcess();
});
afterAll(() => survivor.stop());

const keysOf = (clerkOrgId: string) =>
  survivor.sql<{ id: string }>(
    `select k.id from key_service.api_keys k join key_service.organizations o on o.id = k.organization_id
     where o.clerk_org_id = $1`,
    [clerkOrgId],
  );

/** Sends it to the survivor until it is made. */
async function insist(key: string, body: unknown, serviceKey: string) {
  for (;;) {
    const answer = await keyed(survivor, key, API_KEYS, body, serviceKey);
    if (answer.status === 201) return answer.body;
    expect([409, 503]).toContain(answer.status);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const serviceKey = () => String(survivor.environment['KEY_SERVICE_API_KEY']);

describe('A replica that is killed while it answers', () => {
  it('in the middle of the transaction has made nothing, and keeps nobody from making it', async () => {
    const killed = await startReplicaProcess({ beside: survivor });
    const clerkOrgId = newOrganization();
    await insist(newIdempotencyKey(), { clerkOrgId }, serviceKey());
    const key = newIdempotencyKey();
    const held = await holdOrganization(survivor.databaseUrl, clerkOrgId);
    const first = keyed(killed, key, API_KEYS, { clerkOrgId }, serviceKey()).catch(() => 'no answer');
    await held.untilWaiting(1);
    await killed.end('SIGKILL');
    expect(await first).toBe('no answer');
    await held.release();
    const began = performance.now();
    const made = await insist(key, { clerkOrgId }, serviceKey());
    expect(performance.now() - began).toBeLessThan(LONGEST_WAIT_MS);
    expect((await survivor.asHolder(made.key, '/validate')).status).toBe(200);
    expect(await keysOf(clerkOrgId)).toHaveLength(2);
  }, 90_000);

  it('at whatever moment has made what it says, once, and the answer can be had from another', async () => {
    const killed = await startReplicaProcess({ beside: survivor });
    const clerkOrgId = newOrganization();
    const keys = Array.from({ length: 200 }, () => newIdempotencyKey());
    const answered: (string | null)[] = [];
    const left = [...keys.entries()];
    const all = Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          const [n, key] = next;
          const body = { clerkOrgId, name: `key ${n}` };
          const answer = await keyed(killed, key, API_KEYS, body, serviceKey()).catch(() => null);
          answered[n] = answer?.status === 201 ? answer.body.key : null;
        }
      }),
    );
    // Some are made by then, some are being made, and some are not.
    await expect
      .poll(() => answered.filter((key) => key !== null).length, { interval: 1, timeout: 10_000 })
      .toBeGreaterThan(20);
    await killed.end('SIGKILL');
    await all;
    expect((await keysOf(clerkOrgId)).length).toBeLessThan(keys.length);
    const made = await Promise.all(keys.map((key, n) => insist(key, { clerkOrgId, name: `key ${n}` }, serviceKey())));
    expect(await keysOf(clerkOrgId)).toHaveLength(keys.length);
    for (const [n, first] of answered.entries()) if (first !== null) expect(made[n].key).toBe(first);
    expect(new Set(made.map(({ id }) => id)).size).toBe(keys.length);
  }, 90_000);
});
