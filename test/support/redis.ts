import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import { spawnGuarded } from '../../development/embedded-postgres/guarded-process.ts';
import { freePort } from '../../development/embedded-postgres/port.ts';

const PROGRAMS = ['redis-server', 'valkey-server'];
const PASSWORD = 'not-a-real-password';

const program = PROGRAMS.find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

/** Why there is none, for a test to skip itself with; undefined where one is installed. */
export const redisMissing: string | undefined =
  program === undefined ? `no ${PROGRAMS.join(' or ')}; .ci/install-redis installs one` : undefined;

export interface Redis {
  /** With its password. */
  url: string;
  /** One command, by a connection of its own. */
  command(...words: string[]): Promise<unknown>;
  /** As kill -9. */
  kill(): Promise<void>;
  /** Once more on the same port, after a kill; it remembers nothing. */
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

/** A server of Redis or Valkey of a test's own, with a password, and without a file. */
export async function startRedis(settings: readonly string[] = []): Promise<Redis> {
  if (program === undefined) throw new Error(redisMissing);
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'key-service-redis-'));
  const command = [
    ...[program, '--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no'],
    ...['--requirepass', PASSWORD, ...settings],
  ];
  const url = `redis://:${PASSWORD}@127.0.0.1:${port}`;
  let { child, exited } = run(command);
  const ask = async (...words: string[]) => {
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on('error', () => {});
    await client.connect();
    return client.sendCommand(words).finally(() => client.destroy());
  };
  await answers(ask);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await exited;
  };
  return {
    url,
    command: ask,
    kill: () => end('SIGKILL'),
    async startAgain() {
      ({ child, exited } = run(command));
      await answers(ask);
    },
    async stop() {
      await end('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function run(command: string[]) {
  const child = spawnGuarded(undefined, command, 'pipe');
  child.stdout?.resume();
  child.stderr?.resume();
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return { child, exited };
}

async function answers(ask: (...words: string[]) => Promise<unknown>): Promise<void> {
  const endMs = performance.now() + 10_000;
  for (;;) {
    const answer = await ask('PING').catch((error) => error);
    if (answer === 'PONG') return;
    if (performance.now() > endMs) throw new Error('Redis does not answer', { cause: answer });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
