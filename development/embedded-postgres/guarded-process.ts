import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Account } from './command.ts';
import { spawnOptionsFor } from './command.ts';

/**
 * Becomes the command, after leaving a watcher behind that holds the other end of our pipe. When the
 * pipe closes, because we closed it or because we are gone however that came about, the watcher
 * interrupts the command: SIGINT is PostgreSQL's fast shutdown, and makes initdb tidy up. A word on
 * the pipe dismisses the watcher: the command has ended, and its process number may soon be another's.
 *
 * The watcher is a grandchild: a server takes any child that it does not know for a crashed one.
 */
const GUARDED_START = `
exec 3<&0 </dev/null
( (read -r dismissed <&3 || kill -INT $$) >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
`;

/**
 * Starts a command that ends when its standard input is closed, and so ends with this process even
 * at kill -9. Ctrl-C in the terminal does not reach it.
 */
export function spawnGuarded(account: Account | undefined, command: string[], output: 'pipe' | number): ChildProcess {
  const child = spawn('/bin/sh', ['-c', GUARDED_START, 'sh', ...command], {
    ...spawnOptionsFor(account),
    stdio: ['pipe', output, output],
  });
  const pipe = child.stdin;
  pipe?.on('error', () => {}); // The watcher went first: nothing is left to tell it.
  child.once('exit', () => pipe?.end('dismissed\n'));
  // An open pipe keeps no program from ending: the command then ends with it.
  if (pipe instanceof Socket) pipe.unref();
  return child;
}
