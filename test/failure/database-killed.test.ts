import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../development/embedded-postgres/embedded-postgres.ts';
import { type BuiltService, productionEnvironment, startBuiltService } from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';

let directory: string;
let server: EmbeddedPostgres;
let service: BuiltService;
const options = () => ({ directory, database: 'key_service' });
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'key-service-killed-'));
  server = await startEmbeddedPostgres(options());
  service = await startBuiltService(productionEnvironment(server.url));
});
afterAll(async () => {
  await service.end('SIGKILL');
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

describe('kill -9 of PostgreSQL under load', () => {
  it('loses nothing that was acknowledged, and the service goes on without a restart', async () => {
    const org = newOrganization();
    const issued: { id: string; key: string }[] = [];
    const revoked: string[] = [];
    let gone = false;
    const load = Array.from({ length: 8 }, async () => {
      while (!gone) {
        const answer = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org });
        if (answer.status !== 201) return;
        issued.push(answer.body);
        if (issued.length % 3 !== 0) continue;
        const revocation = await service.asService('DELETE', `/internal/api-keys/${answer.body.id}?clerkOrgId=${org}`);
        if (revocation.status === 200) revoked.push(answer.body.key);
      }
    });
    await expect.poll(() => issued.length, { timeout: 15_000 }).toBeGreaterThan(60);
    const [pid] = (await readFile(join(directory, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
    process.kill(Number(pid), 'SIGKILL');
    await Promise.all(load.map((worker) => worker.finally(() => (gone = true))));
    expect((await service.request('GET', '/health')).status).toBe(200);

    server = await startEmbeddedPostgres(options());
    await expect
      .poll(async () => (await service.request('GET', '/health/ready')).status, { timeout: 10_000 })
      .toBe(200);
    const stopped = new Set(revoked);
    for (const { key } of issued) {
      const { status, body } = await service.asHolder(key, '/validate');
      if (stopped.has(key)) expect(body.code).toBe('api_key_revoked');
      // A revocation whose answer never came may have been made or not.
      else expect(status === 200 || body.code === 'api_key_revoked').toBe(true);
    }
  });
});
