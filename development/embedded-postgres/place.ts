import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../has-code.ts';
import type { Account } from './command.ts';
import { runCommand } from './command.ts';
import { runningPostmaster } from './postmaster.ts';
import { EmbeddedPostgresError } from './unavailable.ts';

/** Where root keeps what another account must reach: the first is never cleaned, the second exists everywhere. */
const SHARED_ROOTS = ['/var/lib', '/var/tmp'];

/**
 * Where the database lives: in `directory`, unless it must run as another account that cannot get
 * there (a checkout under a 0700 home). `identity` sets apart a directory that was deleted and made
 * anew: it gets a new database, not the old one.
 */
export async function choosePlace(
  directory: string,
  identity: string,
  account: Account | undefined,
  onProgress: (message: string) => void,
): Promise<string> {
  if (!account) return directory;
  await admit(directory, account);
  if (await canEnter(directory, account)) return directory;

  const series = `key-service-postgres-${digest(await realpath(directory))}-`;
  for (const root of SHARED_ROOTS) {
    const place = join(root, series + digest(identity));
    if ((await claim(place, account)) && (await canEnter(place, account))) {
      await removePredecessors(root, series, place);
      onProgress(`the database lives in ${place}: its account cannot reach ${directory}`);
      return place;
    }
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL does not run as root, and there is no place that its account can reach: tried ${directory}, ${SHARED_ROOTS.join(', ')}.`,
  );
}

/**
 * Lets the account pass through a directory that only we could enter; it may neither list nor write
 * it. Any other directory keeps the mode that somebody gave it.
 */
export async function admit(directory: string, account: Account): Promise<void> {
  const { uid, mode } = await lstat(directory);
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0) return;
  await chown(directory, uid, account.gid);
  await chmod(directory, 0o710);
}

async function canEnter(directory: string, account: Account): Promise<boolean> {
  return (await runCommand(account, '/bin/sh', ['-c', 'cd "$1"', 'sh', directory])).succeeded;
}

/** Makes the directory ours; false when this root cannot be written. */
async function claim(place: string, account: Account): Promise<boolean> {
  try {
    await mkdir(place, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) return false;
  }
  // The name can be foretold, so somebody may have been there first, if only with a link.
  const found = await lstat(place);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new EmbeddedPostgresError(
      `${place}, where the database would live, belongs to somebody else: it is not used.`,
    );
  }
  await admit(place, account);
  return true;
}

/** Removes the databases of earlier directories at the same path, whose passwords went with them. */
async function removePredecessors(root: string, series: string, place: string): Promise<void> {
  for (const name of await readdir(root)) {
    const path = join(root, name);
    if (!name.startsWith(series) || path === place) continue;
    if ((await lstat(path)).uid !== process.getuid?.()) continue;
    if (await runningPostmaster(join(path, 'cluster'))) continue;
    await rm(path, { recursive: true, force: true });
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
