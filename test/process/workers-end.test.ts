import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type BuiltService,
  productionEnvironment,
  spawnBuiltService,
  startBuiltService,
} from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { slowRequest } from '../support/slow-request.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { freePort, isAlive, linesOf, startLoad, workersOf } from '../support/workers.ts';

// Several processes start and end in each of these, on machines with more to do.
vi.setConfig({ testTimeout: 60_000 });
const eventually = (read: () => unknown) => expect.poll(read, { timeout: 20_000 });

let database: TestDatabase;
let environment: NodeJS.ProcessEnv;
let service: BuiltService;
beforeEach(async () => {
  database = await createTestDatabase();
  environment = { ...productionEnvironment(database.url), KEY_SERVICE_WORKERS: '2', PORT: `${await freePort()}` };
  service = await startBuiltService(environment);
});
afterEach(async () => {
  await service.end('SIGKILL');
  await database.drop();
});

const newestWorker = () => workersOf(service).at(-1)?.pid ?? 0;
const livingWorkers = () => workersOf(service).filter(({ pid }) => isAlive(pid)).length;
const replacements = () => linesOf(service).filter(({ msg }) => msg === 'a worker ended and is replaced');
const portIsFree = () =>
  new Promise<boolean>((resolve) => {
    const socket = connect(service.port, '127.0.0.1', () => resolve(false));
    socket.on('connect', () => socket.destroy()).on('error', () => resolve(true));
  });

describe('kill -9 of a worker', () => {
  it('is felt on its own connections alone, and it is replaced at once', async () => {
    const load = startLoad(service, newOrganization(), 8);
    await eventually(() => load.answered.size).toBeGreaterThan(50);
    const killed = workersOf(service).at(-1);
    process.kill(killed?.pid ?? 0, 'SIGKILL');
    await eventually(() => workersOf(service).length).toBe(3);
    const failures = load.failed;
    const answered = load.answered.size;
    await eventually(() => load.answered.size).toBeGreaterThan(answered + 50);
    await load.stop();
    // The worker had some of the eight connections, and each fails once.
    expect(failures).toBeLessThan(8);
    expect(load.failed).toBe(failures);
    expect(load.statuses).toEqual(new Set([200]));
    expect(replacements()).toEqual([
      expect.objectContaining({ worker: killed?.worker, code: null, signal: 'SIGKILL', pauseMs: 0 }),
    ]);
    expect(livingWorkers()).toBe(2);
  });

  it('again and again soon after its start makes the pauses grow, while the others serve', async () => {
    for (let death = 1; death <= 3; death += 1) {
      process.kill(newestWorker(), 'SIGKILL');
      await eventually(() => workersOf(service).length).toBe(2 + death);
      expect((await service.request('GET', '/health')).status).toBe(200);
    }
    expect(replacements().map(({ pauseMs }) => pauseMs)).toEqual([0, 1_000, 2_000]);
  });

  it('ends a connection that it was given and never took', async () => {
    process.kill(newestWorker(), 'SIGSTOP');
    const sockets = Array.from({ length: 6 }, () => connect(service.port, '127.0.0.1'));
    const ended = sockets.map(async (socket) => {
      socket.on('error', () => {}).write('GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n');
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    });
    await sleep(300);
    process.kill(newestWorker(), 'SIGKILL');
    await Promise.all(ended);
    await eventually(livingWorkers).toBe(2);
  });
});

describe('A stop with workers', () => {
  it('cuts off no request that any of them has begun to answer, and leaves nobody', async () => {
    const load = startLoad(service, newOrganization(), 8);
    const slow = await Promise.all(Array.from({ length: 4 }, () => slowRequest(service.port)));
    await eventually(() => load.answered.size).toBeGreaterThan(50);
    const ended = service.end('SIGTERM');
    await eventually(() => service.output().match(/"msg":"stopping"/g)).toHaveLength(3);
    for (const request of slow) request.finish();
    expect(await Promise.all(slow.map(({ answered }) => answered))).toEqual(Array(4).fill(201));
    expect(await ended).toEqual({ code: 0, signal: null });
    await load.stop();

    const served = linesOf(service).filter(({ msg, method }) => msg === 'request' && method === 'GET');
    expect(served.filter(({ requestId, aborted }) => aborted || !load.answered.has(String(requestId)))).toEqual([]);
    expect(load.statuses).toEqual(new Set([200]));
    expect(livingWorkers()).toBe(0);
    expect(linesOf(service).at(-1)).toMatchObject({ msg: 'stopped' });
    expect(linesOf(service).at(-1)).not.toHaveProperty('worker');
  });

  it('is as clean by Ctrl-C, which reaches all of them at once, and from npm a second time', async () => {
    const slow = await slowRequest(service.port);
    const everybody = [service.process.pid ?? 0, ...workersOf(service).map(({ pid }) => pid)];
    for (const pid of [...everybody, ...everybody]) process.kill(pid, 'SIGINT');
    await eventually(() => service.output()).toContain('"msg":"stopping"');
    slow.finish();
    expect(await slow.answered).toBe(201);
    expect(await service.exit).toEqual({ code: 0, signal: null });
    expect(replacements()).toEqual([]);
    expect(livingWorkers()).toBe(0);
  });

  it('kills a worker that does not end within ten seconds', async () => {
    process.kill(newestWorker(), 'SIGSTOP');
    const began = performance.now();
    expect(await service.end('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(10_500);
    expect(service.output()).toContain('a worker did not stop in time and is killed');
    await eventually(livingWorkers).toBe(0);
  });

  it('is obeyed during the start', async () => {
    const other = spawnBuiltService({ ...environment, PORT: '0' });
    // The first line that it writes; the workers are started next.
    await eventually(other.output).toContain('connection is not encrypted');
    await sleep(200);
    other.process.kill('SIGTERM');
    expect(await other.exit).toEqual({ code: 0, signal: null });
    expect(linesOf(other).filter(({ level }) => level === 'fatal')).toEqual([]);
    expect(workersOf(other).filter(({ pid }) => isAlive(pid))).toEqual([]);
  });
});

describe('kill -9 of the primary', () => {
  it('ends the workers, gracefully, and frees the port', async () => {
    const slow = await slowRequest(service.port);
    service.process.kill('SIGKILL');
    await once(service.process, 'exit');
    await eventually(() => service.output()).toContain('"msg":"stopping"');
    slow.finish();
    expect(await slow.answered).toBe(201);
    await eventually(livingWorkers).toBe(0);
    expect(await portIsFree()).toBe(true);
    service = await startBuiltService(environment);
    expect((await service.request('GET', '/health')).status).toBe(200);
  });
});
