import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../development/embedded-postgres/port.ts';
import { isKeyService, startService } from '../../development/service/service-process.ts';
import { watchSources } from '../../development/service/source-changes.ts';
import { runWatchedService } from '../../development/service/watched-service.ts';
import { firstLine, isAlive, killAtOnce, runProgram, until } from './processes.ts';

const TIMEOUT = { timeout: 30_000 };
/** As a path: the checkout of these tests has no packages. */
const TSX = createRequire(import.meta.url).resolve('tsx');
const MODULE = new URL('../../development/service/service-process.ts', import.meta.url).href;

/** A service that does nothing but live. */
const STAND_IN = `
  import { createServer } from 'node:http';
  const body = JSON.stringify({ status: 'ok', service: 'key-service', pid: process.pid });
  createServer((_request, response) => response.end(body)).listen(process.env.PORT, '127.0.0.1');
  process.on('SIGTERM', () => process.exit(0));
  if (process.env.ANNOUNCE) console.log(process.pid);
`;

let checkout: string;
let environment: NodeJS.ProcessEnv;
let url: string;

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'service-process-'));
  await mkdir(join(checkout, 'src'));
  await writeSource(STAND_IN);
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  environment = { ...process.env, PORT: String(port) };
});

afterEach(() => rm(checkout, { recursive: true, force: true }));

const writeSource = (text: string) => writeFile(join(checkout, 'src', 'main.ts'), text);
const start = () => startService(['--import', TSX, 'src/main.ts'], { environment, cwd: checkout });

describe('a service that a development command started', TIMEOUT, () => {
  it('is healthy when it answers, and gone when it was stopped', async () => {
    const service = start();
    expect(await service.healthy(url)).toBe(true);
    await service.stop();
    expect(await service.ended).toBe('exit code 0');
    expect(await isKeyService(url)).toBe(false);
  });

  it('ends though the command was killed and could not stop it', async () => {
    const program = `
      const [module, cwd, port, tsx] = process.argv.slice(1);
      const { startService } = await import(module);
      const environment = { ...process.env, PORT: port, ANNOUNCE: 'yes' };
      startService(['--import', tsx, 'src/main.ts'], { environment, cwd });
    `;
    const command = runProgram(program, [MODULE, checkout, environment['PORT'] ?? '', TSX]);
    const pid = Number(await firstLine(command));
    expect(isAlive(pid)).toBe(true);
    await killAtOnce(command);
    await until(() => !isAlive(pid));
  });
});

describe('a watched service', TIMEOUT, () => {
  it('is a failure when it cannot start at all', async () => {
    await writeSource('process.exit(3)');
    await expect(runWatched(new AbortController().signal)).rejects.toThrow('The service did not start');
  });

  it('restarts at a change, outlives one that breaks it, and ends when asked to', async () => {
    const end = new AbortController();
    let ready = false;
    const running = runWatched(end.signal, () => {
      ready = true;
    });
    await until(() => ready);

    const first = await servingPid();
    await writeSource(`${STAND_IN}// Changed.`);
    await until(async () => ![undefined, first].includes(await servingPid()));

    await writeSource('process.exit(3)');
    await until(async () => (await servingPid()) === undefined);
    await writeSource(STAND_IN);
    await until(async () => (await servingPid()) !== undefined);

    end.abort();
    await running;
    expect(await servingPid()).toBeUndefined();
  });
});

async function runWatched(end: AbortSignal, onReady = () => {}): Promise<void> {
  const changes = watchSources(checkout, ['src', 'migrations']);
  try {
    await runWatchedService({ url, start, changes, end, onReady });
  } finally {
    changes.close();
  }
}

async function servingPid(): Promise<number | undefined> {
  try {
    const answer: { pid: number } = JSON.parse(await (await fetch(url)).text());
    return answer.pid;
  } catch {
    return undefined;
  }
}
