import { existsSync } from 'node:fs';
import { chown, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../has-code.ts';
import type { Account } from './command.ts';
import { resultOf, runCommand } from './command.ts';
import { newDraft, removeAbandonedDrafts } from './drafts.ts';
import { spawnGuarded } from './guarded-process.ts';
import { freePort } from './port.ts';
import { EmbeddedPostgresError } from './unavailable.ts';

export interface ClusterOptions {
  place: string;
  binaries: string;
  account: Account | undefined;
  password: string;
  durable: boolean;
  onProgress: (message: string) => void;
}

/** The cluster (PostgreSQL's word for a data directory) in `place`, created when there is none. */
export async function ensureCluster(options: ClusterOptions): Promise<string> {
  const cluster = join(options.place, 'cluster');
  await removeAbandonedDrafts(options.place);
  if (existsSync(cluster)) return cluster;

  options.onProgress(`creating a database in ${options.place}`);
  const draft = await newDraft(options.place);
  try {
    await initialise(draft, options);
    await rename(join(draft, 'cluster'), cluster);
  } catch (error) {
    // Another process was faster: its cluster is as good as ours.
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return cluster;
}

async function initialise(draft: string, options: ClusterOptions): Promise<void> {
  const { account, binaries, durable, password } = options;
  const passwordFile = join(draft, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (account) {
    await chown(passwordFile, account.uid, account.gid);
    await chown(draft, account.uid, account.gid);
  }
  const command = [
    join(binaries, 'bin', 'initdb'),
    `--pgdata=${join(draft, 'cluster')}`,
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Unicode by PostgreSQL's own tables: the same everywhere, whatever locales the system has.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    // The port is remembered in the cluster's own configuration.
    `--set=port=${await freePort()}`,
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ];
  const { succeeded, errors } = await resultOf(spawnGuarded(account, command, 'pipe'));
  if (!succeeded) {
    throw new EmbeddedPostgresError(`PostgreSQL could not create a database: ${errors.trim()}`);
  }
}

/** The cluster's own port if it is free now, another one for this time if not. */
export async function portFor(cluster: string, binaries: string, account: Account | undefined): Promise<number> {
  const postgres = join(binaries, 'bin', 'postgres');
  const { output } = await runCommand(account, postgres, ['-D', cluster, '-C', 'port']);
  return freePort(Number(output) || 0);
}
