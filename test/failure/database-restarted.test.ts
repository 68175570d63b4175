import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { productionEnvironment, startBuiltReplica } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { isBackToNormal, memoryOf, warm } from '../support/memory.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { acceptedAfter, answersOf, type SeenValidation, watchValidations } from '../support/validation-watch.ts';

const LEASE_MS = 500;
const BLIND_LIMIT_MS = 1_000;

let postgres: OwnPostgres;
let replicas: Awaited<ReturnType<typeof startBuiltReplica>>[];
const org = newOrganization();
let kept: string;
let doomed: { id: string; key: string };
beforeAll(async () => {
  postgres = await startOwnPostgres();
  const environment = { ...productionEnvironment(postgres.url), CACHE_LEASE_MS: String(LEASE_MS) };
  replicas = await Promise.all([startBuiltReplica(environment), startBuiltReplica(environment)]);
});
beforeEach(async () => {
  ({ key: kept } = await replica(1).issueKey(org));
  doomed = await replica(1).issueKey(org);
  for (const warmed of replicas) await warm(warmed, kept, doomed.key);
});
afterAll(async () => {
  await Promise.all(replicas.map((each) => each.end('SIGKILL')));
  await postgres.remove();
});

function replica(index: number) {
  return replicas[index] as (typeof replicas)[number];
}

const revokers = {
  'the other replica': async () => {
    const { status } = await replica(1).asService('DELETE', `/internal/api-keys/${doomed.id}?clerkOrgId=${org}`);
    expect(status).toBe(200);
  },
  SQL: () => execute(postgres.url, 'update key_service.api_keys set revoked_at = now() where id = $1', [doomed.id]),
};

describe.each([
  ['restarted', 'stop'],
  ['killed with kill -9 and started again', 'kill'],
] as const)('When the database is %s under two replicas that answer from memory', (_, end) => {
  it.each(Object.entries(revokers))('a key that %s revoked just before is refused', async (__, revoke) => {
    const watches = replicas.map((each) => ({
      doomed: watchValidations(each, doomed.key),
      kept: watchValidations(each, kept),
    }));
    for (const watch of watches) await expect.poll(() => watch.kept.seen.length).toBeGreaterThan(3);
    await revoke();
    const revokedMs = performance.now();
    await postgres[end]();
    for (const each of replicas) {
      await expect.poll(async () => (await memoryOf(each)).leaseHeld).toBe(false);
      // Nothing is remembered from before the connection was lost.
      await expect.poll(async () => (await memoryOf(each)).entries).toBe(0);
    }
    for (const {
      kept: { seen },
    } of watches)
      await expect.poll(() => seen.at(-1)?.status).toBe(503);
    await postgres.start();
    for (const each of replicas) {
      await expect.poll(() => isBackToNormal(each, [kept]), { timeout: 15_000 }).toBe(true);
    }

    const seen = { doomed: [] as SeenValidation[], kept: [] as SeenValidation[] };
    for (const watch of watches) {
      seen.doomed.push(...(await watch.doomed.stop()));
      seen.kept.push(...(await watch.kept.stop()));
    }
    expect(acceptedAfter(seen.doomed, revokedMs + LEASE_MS)).toEqual([]);
    expect(answersOf(seen.doomed)).toEqual(['200', '401 api_key_revoked', '503 database_unavailable']);
    expect(answersOf(seen.kept)).toEqual(['200', '503 database_unavailable']);
    for (const { tookMs } of [...seen.doomed, ...seen.kept]) expect(tookMs).toBeLessThan(BLIND_LIMIT_MS);
  });
});
