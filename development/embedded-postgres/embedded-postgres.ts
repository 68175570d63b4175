import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createOnce } from '../create-once.ts';
import { serverAccount } from './account.ts';
import { usableBinaries } from './binaries.ts';
import { ensureCluster } from './cluster.ts';
import { databaseUrl, ensureDatabase } from './connection.ts';
import { admit, choosePlace } from './place.ts';
import { startOrAttach } from './start-or-attach.ts';

export interface EmbeddedPostgres {
  /** `postgresql://postgres:<password>@127.0.0.1:<port>/<database>` */
  readonly url: string;
  /** The server belongs to another process, which decides when it ends. */
  readonly attached: boolean;
  /** Ends the server and waits until it is gone; leaves an attached one alone. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Where the database lives; belongs to this launcher alone. */
  directory: string;
  /** Created when missing. */
  database: string;
  /** False trades safety at a crash of the machine for speed: for tests. Default true. */
  durable?: boolean;
  /** Settings of the server beyond the launcher's own, as in postgresql.conf. */
  settings?: Record<string, string>;
  onProgress?: (message: string) => void;
}

const THROWAWAY_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

/**
 * A real PostgreSQL server on the loopback interface, out of npm packages, with its data in one
 * directory. It lives as long as this process: when the process ends, however, the server is shut
 * down. A directory whose server is running already, for another process, is joined.
 *
 * No locks of our own guard any of this. Whatever is created is renamed into place when complete,
 * and PostgreSQL itself admits one server to a cluster.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { database, durable = true, settings, onProgress = () => {} } = options;
  const directory = resolve(options.directory);
  const account = await serverAccount(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });

  const passwordFile = join(directory, 'password');
  const password = await createOnce(passwordFile, () => randomBytes(24).toString('base64url'));
  const place = await choosePlace(directory, password, account, onProgress);
  const binaries = await usableBinaries(place, account);
  const cluster = await ensureCluster({
    place,
    binaries,
    account,
    password,
    durable,
    onProgress,
  });

  const server = await startOrAttach({
    binaries,
    cluster,
    account,
    password,
    log: join(place, 'postgres.log'),
    settings: {
      max_connections: '200',
      ...(durable ? {} : THROWAWAY_SETTINGS),
      ...settings,
    },
    onProgress,
  });
  try {
    await ensureDatabase(databaseUrl(server.port, password, 'postgres'), database);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    url: databaseUrl(server.port, password, database),
    attached: server.attached,
    stop: server.stop,
  };
}

/**
 * Lets the server's account, when it is not the caller's own, pass through a private directory that
 * is to hold a database somewhere below. Without this a root's database lives elsewhere.
 */
export async function openToServer(directory: string): Promise<void> {
  const account = await serverAccount(directory);
  if (account) await admit(directory, account);
}
