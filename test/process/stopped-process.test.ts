import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BuiltService, productionEnvironment, startBuiltService } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const LEASE_MS = 500;
const LONGEST_TEST_MS = 60_000;

let database: TestDatabase;
let service: BuiltService;
beforeEach(async () => {
  database = await createTestDatabase();
  service = await startBuiltService({ ...productionEnvironment(database.url), CACHE_LEASE_MS: String(LEASE_MS) });
});
afterEach(async () => {
  service.process.kill('SIGCONT');
  await service.end('SIGKILL');
  await database.drop();
});

const validate = async (key: string) => (await service.asHolder(key, '/validate')).status;

describe('a process that was stopped for longer than the lease', () => {
  it(
    'never again accepts a key that was revoked meanwhile, in requests from meanwhile neither',
    async () => {
      for (let round = 0; round < 3; round += 1) {
        const { key, id } = await service.issueKey(newOrganization());
        const warm = await Promise.all(Array.from({ length: 10 }, () => validate(key)));
        expect(new Set(warm)).toEqual(new Set([200]));
        service.process.kill('SIGSTOP');
        await execute(database.url, 'update key_service.api_keys set revoked_at = now() where id = $1', [id]);
        const revokedAt = performance.now();
        const early = Array.from({ length: 10 }, () => validate(key));
        // How long it is stopped for is what this is about.
        while (performance.now() < revokedAt + LEASE_MS) await sleep(10);
        const late = Array.from({ length: 10 }, () => validate(key));
        service.process.kill('SIGCONT');
        const after = Array.from({ length: 10 }, () => validate(key));
        expect(new Set(await Promise.all([...early, ...late, ...after]))).toEqual(new Set([401]));
      }
    },
    LONGEST_TEST_MS,
  );

  it(
    'answers from memory again once it has caught up',
    async () => {
      const { key } = await service.issueKey(newOrganization());
      expect(await validate(key)).toBe(200);
      service.process.kill('SIGSTOP');
      await sleep(2 * LEASE_MS);
      service.process.kill('SIGCONT');
      expect(await validate(key)).toBe(200);
      await execute(database.url, 'alter table key_service.api_keys rename to api_keys_away');
      await expect.poll(() => validate(key), { timeout: 10_000 }).toBe(200);
    },
    LONGEST_TEST_MS,
  );
});
