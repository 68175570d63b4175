import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';

/** The account that runs PostgreSQL where the caller is root, which PostgreSQL refuses to be. */
export interface Account {
  uid: number;
  gid: number;
}

/**
 * Nothing of the caller's environment reaches PostgreSQL: no secret, no PGDATA or PGPORT that would
 * overrule us, and messages in English whatever the locale.
 */
const POSTGRES_ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };

/** Identity and surroundings for a process of PostgreSQL; `/` is a directory every account may enter. */
export function spawnOptionsFor(account: Account | undefined) {
  return {
    cwd: '/',
    env: POSTGRES_ENVIRONMENT,
    // A session of its own: Ctrl-C in the terminal reaches the launcher, which decides what it means.
    detached: true,
    ...(account && { uid: account.uid, gid: account.gid }),
  };
}

export interface CommandResult {
  succeeded: boolean;
  output: string;
  errors: string;
}

export function runCommand(account: Account | undefined, file: string, args: string[]): Promise<CommandResult> {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
  return resultOf(spawn(file, args, { ...spawnOptionsFor(account), stdio }));
}

/** How a command ended. One that could not even start has failed: that is no exception. */
export function resultOf(child: ChildProcess): Promise<CommandResult> {
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ succeeded: false, output, errors: error.message }));
    child.on('close', (code) => resolve({ succeeded: code === 0, output, errors }));
  });
}
