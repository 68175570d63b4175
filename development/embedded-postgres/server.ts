import type { ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './command.ts';
import { spawnGuarded } from './guarded-process.ts';

/** How long a fast shutdown may take before the server is told to drop everything (it recovers). */
const SHUTDOWN_LIMIT_MS = 20_000;

/** A log that has grown beyond this starts anew with the server. */
const LOG_LIMIT_BYTES = 4 * 1024 * 1024;

export interface ServerOptions {
  binaries: string;
  cluster: string;
  account: Account | undefined;
  port: number;
  settings: Record<string, string>;
  log: string;
}

export interface Server {
  /** Resolves when the server process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  stop(): Promise<void>;
}

export async function launchServer(options: ServerOptions): Promise<Server> {
  const { account, binaries, cluster, log, port } = options;
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ...options.settings,
  };
  const command = [
    join(binaries, 'bin', 'postgres'),
    '-D',
    cluster,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const output = await open(log, 'a', 0o600);
  if ((await output.stat()).size > LOG_LIMIT_BYTES) await output.truncate();
  try {
    return supervise(spawnGuarded(account, command, output.fd));
  } finally {
    await output.close();
  }
}

function supervise(child: ChildProcess): Server {
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  // A program that forgets to stop the server may end all the same.
  child.unref();

  return {
    exited,
    async stop() {
      child.ref();
      child.stdin?.end();
      const impatience = setTimeout(() => child.kill('SIGQUIT'), SHUTDOWN_LIMIT_MS);
      await exited;
      clearTimeout(impatience);
    },
  };
}
