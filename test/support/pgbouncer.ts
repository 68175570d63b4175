import { execFileSync } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { serverAccount } from '../../development/embedded-postgres/account.ts';
import { spawnGuarded } from '../../development/embedded-postgres/guarded-process.ts';
import { freePort } from '../../development/embedded-postgres/port.ts';
import { execute } from './database-server.ts';

const PROGRAM = '/usr/sbin/pgbouncer';

export interface PgBouncer {
  /** A database of the server, by way of PgBouncer. */
  through(url: string): string;
  stop(): Promise<void>;
}

/** Why there is none, for a test to skip itself with; undefined where it is installed. */
export const pgBouncerMissing: string | undefined = (() => {
  try {
    execFileSync(PROGRAM, ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `no PgBouncer at ${PROGRAM}; .ci/install-pgbouncer installs it`;
  }
})();

/** PgBouncer in transaction mode before a server, as its package comes otherwise; `settings` as in pgbouncer.ini. */
export async function startPgBouncer(serverUrl: string, settings: Record<string, string> = {}): Promise<PgBouncer> {
  const server = new URL(serverUrl);
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'key-service-pgbouncer-'));
  const account = await serverAccount(directory);
  const users = join(directory, 'users.txt');
  const configuration = join(directory, 'pgbouncer.ini');
  await writeFile(users, `"${decodeURIComponent(server.username)}" "${decodeURIComponent(server.password)}"\n`);
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: users,
    pool_mode: 'transaction',
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  const databases = `* = host=${server.hostname} port=${server.port}`;
  await writeFile(configuration, ['[databases]', databases, '[pgbouncer]', ...lines, ''].join('\n'));
  if (account) for (const path of [directory, users, configuration]) await chown(path, account.uid, account.gid);
  const child = spawnGuarded(account, [PROGRAM, '--quiet', configuration], 'pipe');
  let output = '';
  child.stderr?.on('data', (text) => {
    output += text;
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const through = (url: string) => {
    const led = new URL(url);
    led.port = String(port);
    return led.href;
  };
  await vi
    .waitFor(() => execute(through(serverUrl), 'select 1'), { timeout: 10_000, interval: 50 })
    .catch((error) => {
      throw new Error(`PgBouncer does not answer:\n${output}`, { cause: error });
    });
  return {
    through,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
