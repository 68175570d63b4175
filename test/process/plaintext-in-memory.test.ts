import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltService, productionEnvironment, startBuiltService } from '../support/built-service.ts';
import { newCanary } from '../support/canary.ts';
import { newOrganization } from '../support/client.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let directory: string;
let database: TestDatabase;
let service: BuiltService;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'key-service-heap-'));
  database = await createTestDatabase();
  service = await startBuiltService({
    ...productionEnvironment(database.url),
    NODE_OPTIONS: `--heapsnapshot-signal=SIGWINCH --diagnostic-dir=${directory}`,
  });
});
afterAll(async () => {
  await service.end();
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

/** Every string that the process holds, as its heap says after a collection of garbage. The signal means nothing else to it. */
async function stringsInMemory(): Promise<string> {
  service.process.kill('SIGWINCH');
  await expect.poll(() => readdir(directory), { timeout: 30_000 }).toHaveLength(1);
  // The process does nothing else until it is written.
  expect((await service.request('GET', '/health')).status).toBe(200);
  const [name = ''] = await readdir(directory);
  return readFile(join(directory, name), 'utf8');
}

describe('the memory of the process', () => {
  it('holds no provider key in the clear, after it was saved and revealed and is remembered', async () => {
    const [canary, org] = [newCanary('sk-'), newOrganization()];
    const { key } = await service.issueKey(org);
    await service.saveProviderKey(org, 'openai', canary.secret);
    for (let n = 0; n < 5; n += 1) {
      expect((await service.asHolder(key, '/validate/keys/openai')).body.key).toBe(canary.secret);
    }
    // What a connection read last goes when it reads something else.
    for (let n = 0; n < 20; n += 1) await service.asHolder(key, '/validate');
    const memory = await stringsInMemory();
    // It does hold what it remembers.
    expect(memory).toContain(org);
    expect(canary.formsIn(memory)).toEqual([]);
  }, 60_000);
});
