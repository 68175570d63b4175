import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type BuiltService,
  productionEnvironment,
  spawnBuiltService,
  startBuiltService,
} from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { metricsOf } from '../support/metrics.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { freePort, isAlive, linesOf, workersOf } from '../support/workers.ts';

// Several processes start and end in each of these, on machines with more to do.
vi.setConfig({ testTimeout: 60_000 });
const eventually = (read: () => unknown) => expect.poll(read, { timeout: 20_000 });

let database: TestDatabase;
let environment: NodeJS.ProcessEnv;
const services: BuiltService[] = [];
beforeEach(async () => {
  database = await createTestDatabase();
  environment = { ...productionEnvironment(database.url), KEY_SERVICE_WORKERS: '2', USAGE_FLUSH_MS: '600000' };
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
/** Runs it to its end, which is soon. */
async function run(more: NodeJS.ProcessEnv) {
  const service = spawnBuiltService({ ...environment, ...more });
  const { code } = await service.exit;
  return { code, output: service.output(), fatal: linesOf(service).filter(({ level }) => level === 'fatal') };
}
/** On a connection of its own each time, so that the workers take turns. */
const onNewConnection = { headers: { Connection: 'close' } };

describe('KEY_SERVICE_WORKERS', () => {
  it('says that it is ready once, when all of them serve, on one port', async () => {
    const service = await started({ KEY_SERVICE_WORKERS: '3' });
    const lines = linesOf(service);
    const ready = lines.findIndex(({ msg }) => msg === 'Key Service is ready');
    expect(lines.slice(0, ready).filter(({ msg }) => msg === 'a worker is ready')).toHaveLength(3);
    expect(lines[ready]).toMatchObject({ workers: 3, port: service.port });
    expect(service.output().match(/Key Service is ready/g)).toHaveLength(1);
    expect((await service.request('GET', '/health/ready')).status).toBe(200);
  });

  it('lets every one of them answer, and each name itself in its lines', async () => {
    const service = await started();
    for (let request = 0; request < 6; request += 1) await service.request('GET', '/health', onNewConnection);
    await eventually(() => linesOf(service).filter(({ msg }) => msg === 'request')).toHaveLength(6);
    const served = linesOf(service).filter(({ msg }) => msg === 'request');
    expect(new Set(served.map(({ worker }) => worker))).toEqual(new Set([1, 2]));
  });

  it('is one process and no worker by default', async () => {
    const service = await started({ KEY_SERVICE_WORKERS: '' });
    await service.request('GET', '/health');
    expect(workersOf(service)).toEqual([]);
    expect(service.output()).not.toContain('"worker"');
  });

  it('migrates an empty database once, and says once what there is to say', async () => {
    const empty = await createTestDatabase({ empty: true });
    const service = await started({ KEY_SERVICE_DATABASE_URL: empty.url });
    expect(service.output().match(/migrations applied/g)).toHaveLength(1);
    expect(service.output().match(/connection is not encrypted/g)).toHaveLength(1);
    await service.end();
    await empty.drop();
  });
});

describe('A start with workers that cannot work ends with 1 and one fatal line', () => {
  it('when ENCRYPTION_KEY is wrong', async () => {
    await (await started()).end();
    const { code, fatal, output } = await run({ ENCRYPTION_KEY: randomBytes(32).toString('hex') });
    expect(code).toBe(1);
    expect(fatal).toEqual([expect.objectContaining({ reason: 'MasterKeyMismatch' })]);
    expect(output).not.toContain('    at ');
  });

  it('when the port is taken, its own or that of the metrics', async () => {
    const other = createServer();
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    for (const variable of ['PORT', 'METRICS_PORT']) {
      const { code, fatal } = await run({ [variable]: `${port}` });
      expect(code, variable).toBe(1);
      expect(fatal, variable).toEqual([
        expect.objectContaining({
          reason: 'PortUnavailable',
          msg: `Key Service cannot listen on 127.0.0.1:${port} (EADDRINUSE).`,
        }),
      ]);
    }
    other.close();
  });

  it('when the database refuses, before any worker is there', async () => {
    const url = new URL(database.url);
    url.pathname = '/no_such_database';
    const { code, fatal, output } = await run({ KEY_SERVICE_DATABASE_URL: url.href });
    expect(code).toBe(1);
    expect(fatal).toEqual([expect.objectContaining({ reason: 'DatabaseUnreachable' })]);
    expect(output).not.toContain('"worker"');
  });

  it('or, for a bad configuration, with its one message', async () => {
    const { code, output } = await run({ KEY_SERVICE_WORKERS: 'many', ENCRYPTION_KEY: '' });
    expect(code).toBe(1);
    expect(output.match(/Key Service cannot start/g)).toHaveLength(1);
    expect(output).toContain('KEY_SERVICE_WORKERS must be a whole number from 1 to 256, or auto');
    expect(output).toContain('ENCRYPTION_KEY is missing');
  });
});

describe('With workers', () => {
  it('/metrics is one for all of them, and goes on when one does not answer or is gone', async () => {
    const metricsPort = await freePort();
    const service = await started({ METRICS_PORT: `${metricsPort}` });
    const counted = async () => {
      const { value } = await metricsOf({ metricsPort });
      return value('key_service_http_request_duration_seconds_count', { route: '/health', status: '200' });
    };
    for (let request = 0; request < 10; request += 1) await service.request('GET', '/health', onNewConnection);
    await eventually(counted).toBe(10);
    expect((await metricsOf({ metricsPort })).value('key_service_workers')).toBe(2);

    const [first] = workersOf(service);
    process.kill(first?.pid ?? 0, 'SIGSTOP');
    const began = performance.now();
    expect(await counted()).toBe(10);
    expect(performance.now() - began).toBeLessThan(3_000);

    process.kill(first?.pid ?? 0, 'SIGKILL');
    await eventually(() => workersOf(service)).toHaveLength(3);
    expect(await counted()).toBe(10);
    expect((await metricsOf({ metricsPort })).value('key_service_workers')).toBe(2);
  });

  it('a stop writes the uses that each of them holds, and leaves nobody', async () => {
    const service = await started();
    const org = newOrganization();
    const ids: string[] = [];
    for (let key = 0; key < 6; key += 1) {
      const { id, key: secret } = await service.issueKey(org);
      ids.push(id);
      const headers = { Authorization: `Bearer ${secret}`, ...onNewConnection.headers };
      expect((await service.request('GET', '/validate', { headers })).status).toBe(200);
    }
    const uses = () =>
      execute(database.url, 'select 1 from key_service.api_key_uses where api_key_id = any($1)', [ids]);
    expect(await uses()).toHaveLength(0);
    expect(await service.end()).toEqual({ code: 0, signal: null });
    expect(await uses()).toHaveLength(6);
    expect(workersOf(service).map(({ pid }) => isAlive(pid))).toEqual([false, false]);
  });
});
