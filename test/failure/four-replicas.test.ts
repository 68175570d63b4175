import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { warm } from '../support/memory.ts';
import { type ReplicaProcess, startReplicaProcess } from '../support/replica-process.ts';
import { acceptedAfter, answersOf, type SeenValidation, watchValidations } from '../support/validation-watch.ts';

const REVOCATIONS = 300;
/** Of other customers, on each replica. */
const LOAD_EVERY_MS = 10;
const LEASE_MS = 2_000;

let replicas: ReplicaProcess[];
const org = newOrganization();
let background: string[];
beforeAll(async () => {
  const first = await startReplicaProcess();
  const rest = await Promise.all(Array.from({ length: 3 }, () => startReplicaProcess({ beside: first })));
  replicas = [first, ...rest];
  background = [];
  for (const replica of replicas) background.push((await replica.issueKey(org)).key);
});
afterAll(async () => {
  const [first, ...rest] = replicas;
  await Promise.all(rest.map((replica) => replica.stop()));
  await first?.stop();
});

describe('Four replicas that answer from memory, under load', () => {
  it('never accept a key for longer than the lease after its revocation was answered', {
    timeout: 240_000,
  }, async () => {
    const load = replicas.map((replica, index) =>
      watchValidations(replica, background[index] as string, { everyMs: LOAD_EVERY_MS }),
    );
    const lags: number[] = [];
    for (let revocation = 0; revocation < REVOCATIONS; revocation += 1) {
      const revoker = replicas[revocation % replicas.length] as ReplicaProcess;
      const { id, key } = await revoker.issueKey(org);
      await Promise.all(replicas.map((replica) => warm(replica, key)));
      const watches = replicas.map((replica) => watchValidations(replica, key, { everyMs: 2 }));
      for (const { seen } of watches) await expect.poll(() => seen.length, { interval: 5 }).toBeGreaterThan(1);
      await revoker.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      const answeredMs = performance.now();
      for (const { seen } of watches)
        await expect.poll(() => seen.at(-1)?.code, { interval: 5, timeout: 5_000 }).toBe('api_key_revoked');
      const seen: SeenValidation[] = (await Promise.all(watches.map((watch) => watch.stop()))).flat();
      expect(answersOf(seen)).toEqual(['200', '401 api_key_revoked']);
      expect(acceptedAfter(seen, answeredMs + LEASE_MS)).toEqual([]);
      lags.push(Math.max(0, ...acceptedAfter(seen, answeredMs).map(({ beganMs }) => beganMs - answeredMs)));
    }
    expect(answersOf((await Promise.all(load.map((watch) => watch.stop()))).flat())).toEqual(['200']);
    lags.sort((a, b) => a - b);
    const figures = [lags[REVOCATIONS / 2], lags.at(-1)].map((lag) => lag?.toFixed(1));
    console.log(
      `Accepted after the answer, of ${REVOCATIONS} revocations: ${figures[0]} ms at the median, ${figures[1]} ms at most`,
    );
  });
});
