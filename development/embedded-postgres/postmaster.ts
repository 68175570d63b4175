import { readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../has-code.ts';
import { isAlive } from './is-alive.ts';

/** The server process that `postmaster.pid` of a cluster names. */
export interface Postmaster {
  pid: number;
  port: number;
}

/** The server that runs on this cluster, if one does. A file that a killed server left is no server. */
export async function runningPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const named = await readPostmasterFile(cluster);
  return named && (await serves(named.pid, cluster)) ? named : undefined;
}

/**
 * Removes a `postmaster.pid` whose process number now belongs to some other program, say after a
 * reboot. PostgreSQL itself sees only that such a process exists, and refuses to start.
 */
export async function removeMisleadingFile(cluster: string): Promise<void> {
  const named = await readPostmasterFile(cluster);
  if (named && isAlive(named.pid) && !(await serves(named.pid, cluster))) {
    await rm(postmasterFile(cluster), { force: true });
  }
}

export function postmasterFile(cluster: string): string {
  return join(cluster, 'postmaster.pid');
}

/** Lines of the file: process, data directory, start time, port, … (PostgreSQL, miscadmin.h). */
async function readPostmasterFile(cluster: string): Promise<Postmaster | undefined> {
  const content = await readFile(postmasterFile(cluster), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  });
  const [pid, , , port] = content.split('\n').map(Number);
  return pid ? { pid, port: port ?? 0 } : undefined;
}

/** A server's working directory is its cluster: where /proc shows it, a reused number is told apart. */
async function serves(pid: number, cluster: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform !== 'linux') return true;
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(cluster));
  } catch (error) {
    // Gone meanwhile, or a zombie. Hidden from us (a container without ptrace) means: believe the file.
    return !hasCode(error, 'ENOENT', 'ESRCH');
  }
}
