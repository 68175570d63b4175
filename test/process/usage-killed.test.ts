import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BuiltService, productionEnvironment, startBuiltService } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { usageOfKey, usageOfOrganization } from '../support/usage.ts';

vi.setConfig({ testTimeout: 60_000 });

const FLUSH_MS = 1_000;
/** What a flush itself may take, on a machine with more to do. */
const FLUSH_TAKES_MS = 1_000;

let database: TestDatabase;
let environment: NodeJS.ProcessEnv;
const services: BuiltService[] = [];
beforeEach(async () => {
  database = await createTestDatabase();
  environment = { ...productionEnvironment(database.url), USAGE_FLUSH_MS: String(FLUSH_MS) };
});
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.end('SIGKILL')));
  await database.drop();
});
async function started(more: NodeJS.ProcessEnv = {}): Promise<BuiltService> {
  const service = await startBuiltService({ ...environment, ...more });
  services.push(service);
  return service;
}

const validOf = async (asked: Promise<{ body: { outcomes: Record<string, number> } }>) =>
  (await asked).body.outcomes['valid'] ?? 0;

describe('kill -9 of a replica', () => {
  it('loses what was used in the last interval, and nothing that was used before or elsewhere', async () => {
    const [killed, other] = [await started(), await started()];
    const org = newOrganization();
    const { id, key } = await killed.issueKey(org);
    /** When each was answered, on the replica that is to be killed. */
    const answeredAt: number[] = [];
    let elsewhere = 0;
    let over = false;
    const use = async (replica: BuiltService) => {
      while (!over) {
        const { status } = await replica.asHolder(key, '/validate');
        if (status !== 200) continue;
        if (replica === killed) answeredAt.push(performance.now());
        else elsewhere += 1;
        await sleep(2);
      }
    };
    // What is under way at the kill fails.
    const load = Promise.allSettled([use(killed), use(other)]);
    await sleep(3.5 * FLUSH_MS);
    const killedAt = performance.now();
    await killed.end('SIGKILL');
    over = true;
    await load;

    await other.end('SIGTERM');
    const reader = await started();
    const counted = await validOf(usageOfKey(reader, org, id));
    const before = answeredAt.filter((atMs) => atMs < killedAt - FLUSH_MS - FLUSH_TAKES_MS).length;
    expect(before).toBeGreaterThan(50);
    expect(counted).toBeGreaterThanOrEqual(elsewhere + before);
    // One may have been counted whose answer did not arrive any more.
    expect(counted).toBeLessThanOrEqual(elsewhere + answeredAt.length + 1);
    expect(await validOf(usageOfOrganization(reader, org))).toBe(counted);
  });

  it('is not a stop, which loses nothing', async () => {
    const service = await started({ USAGE_FLUSH_MS: '600000' });
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    for (let use = 0; use < 10; use += 1) expect((await service.asHolder(key, '/validate')).status).toBe(200);
    expect(await validOf(usageOfKey(service, org, id))).toBe(0);
    await service.end('SIGTERM');
    expect(await validOf(usageOfKey(await started(), org, id))).toBe(10);
  });
});

describe('workers', () => {
  it('add up', async () => {
    const service = await started({ KEY_SERVICE_WORKERS: '2', USAGE_FLUSH_MS: '50' });
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    for (let use = 0; use < 40; use += 1) {
      // On a connection of its own, so that the workers take turns.
      const headers = { Authorization: `Bearer ${key}`, Connection: 'close' };
      expect((await service.request('GET', '/validate', { headers })).status).toBe(200);
    }
    await expect.poll(() => validOf(usageOfKey(service, org, id)), { timeout: 10_000 }).toBe(40);
  });
});
