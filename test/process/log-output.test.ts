import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { productionEnvironment, spawnBuiltService, startBuiltService } from '../support/built-service.ts';
import { clientOf } from '../support/client.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let database: TestDatabase;
let environment: NodeJS.ProcessEnv;
beforeEach(async () => {
  database = await createTestDatabase();
  environment = productionEnvironment(database.url);
});
afterEach(() => database.drop());

const linesIn = (output: string) =>
  output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('The log', () => {
  it('has the line of every request that was answered before a stop', async () => {
    const service = await startBuiltService(environment);
    const ids = Array.from({ length: 500 }, (_, number) => `request-${number}`);
    await Promise.all(ids.map((id) => service.request('GET', '/health', { headers: { 'X-Request-Id': id } })));
    expect(await service.end('SIGTERM')).toEqual({ code: 0, signal: null });
    const lines = linesIn(service.output());
    expect(lines.flatMap(({ requestId }) => (requestId === undefined ? [] : [requestId])).toSorted()).toEqual(
      ids.toSorted(),
    );
    expect(lines.at(-1)?.['msg']).toBe('stopped');
  });

  it('says why a start failed', async () => {
    const service = spawnBuiltService({ ...environment, PORT: '1', HOST: '192.0.2.1' });
    expect((await service.exit).code).toBe(1);
    expect(linesIn(service.output()).at(-1)).toMatchObject({ level: 'fatal', reason: 'PortUnavailable' });
  });

  it('has the error that nothing handled, and all that came before and after it', async () => {
    const fault = "process.on('SIGUSR2', () => { throw new TypeError('unhandled'); });";
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(fault)}`;
    const service = await startBuiltService({ ...environment, NODE_OPTIONS });
    expect((await service.end('SIGUSR2')).code).toBe(1);
    const messages = linesIn(service.output()).map(({ msg }) => msg);
    expect(messages).toContain('Key Service is ready');
    expect(messages.slice(-3)).toEqual(['an error that nothing handled; stopping', 'stopping', 'stopped']);
  });
});

describe('A log that cannot be written', () => {
  it('because nobody reads it any more does not end the service, nor keep it from ending', async () => {
    const service = await startBuiltService(environment);
    service.process.stdout?.destroy();
    for (let number = 0; number < 20; number += 1) {
      expect((await service.request('GET', '/health')).status).toBe(200);
    }
    service.process.kill('SIGTERM');
    expect(await once(service.process, 'exit')).toEqual([0, null]);
  });

  it('because its reader has just gone does not keep the service from ending', async () => {
    const service = await startBuiltService(environment);
    service.process.stdout?.destroy();
    service.process.kill('SIGTERM');
    expect(await once(service.process, 'exit')).toEqual([0, null]);
  });

  // Linux alone has a file that is always full.
  it.skipIf(!existsSync('/dev/full'))(
    'because the disk is full does not end the service, nor keep it from ending',
    async () => {
      const PORT = String(await freePort());
      const full = openSync('/dev/full', 'w');
      const child = spawn(process.execPath, ['dist/main.js'], {
        env: { PATH: process.env['PATH'], ...environment, PORT },
        stdio: ['ignore', full, 'ignore'],
      });
      closeSync(full);
      const { request } = clientOf(`http://127.0.0.1:${PORT}`);
      const isHealthy = () =>
        request('GET', '/health').then(
          ({ status }) => status === 200,
          () => false,
        );
      for (let waitedMs = 0; waitedMs < 15_000 && !(await isHealthy()); waitedMs += 50) await sleep(50);
      for (let number = 0; number < 20; number += 1) expect(await isHealthy()).toBe(true);
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
    },
  );
});
