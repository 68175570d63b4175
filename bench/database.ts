import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { CHECKOUT } from '../development/checkout.ts';
import { startEmbeddedPostgres } from '../development/embedded-postgres/embedded-postgres.ts';

const MIB = 1024 ** 2;
/** A quarter of the memory, as PostgreSQL's manual has it; a gigabyte holds all that is asked about here. */
const SHARED_BUFFERS_MIB = Math.min(1024, Math.floor(totalmem() / MIB / 4));

/**
 * Durable as in production: a commit is on the disk before it is answered. What would happen in the middle of some
 * rounds and not of others (checkpoints) is put off.
 */
const SETTINGS = {
  shared_buffers: `${SHARED_BUFFERS_MIB}MB`,
  max_connections: '300',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  shared_preload_libraries: 'pg_stat_statements',
};

/** The one PostgreSQL server of a run. */
export interface BenchPostgres {
  version: string;
  /** As the report says it. */
  settings: Record<string, string>;
  /** The process of the server, whose children do the work. */
  processId: number;
  /** The URL of a database on it. */
  urlOf(database: string): string;
  stop(): Promise<void>;
}

export async function startPostgres(directory: string, tell: (line: string) => void): Promise<BenchPostgres> {
  const server = await startEmbeddedPostgres({
    directory: await mkdtemp(join(directory, 'postgres-')),
    database: 'bench',
    settings: SETTINGS,
    onProgress: tell,
  });
  const [about] = await query<{ version: string; pid: number; fsync: string; synchronous_commit: string }>(
    server.url,
    `select current_setting('server_version') as version, current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as synchronous_commit,
      split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int as pid`,
  );
  if (about === undefined) throw new Error('PostgreSQL does not say what it is');
  const { fsync, synchronous_commit } = about;
  return {
    version: about.version,
    settings: { shared_buffers: SETTINGS.shared_buffers, fsync, synchronous_commit },
    processId: about.pid,
    urlOf(database) {
      const url = new URL(server.url);
      url.pathname = `/${database}`;
      return url.href;
    },
    stop: () => server.stop(),
  };
}

/** Runs one statement on a connection of its own. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  statement: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query<Row>(statement, values)).rows);
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A new database with the service's tables in it, made by the service's own command. */
export async function createServiceDatabase(postgres: BenchPostgres, name: string): Promise<string> {
  await query(postgres.urlOf('bench'), `create database ${name}`);
  const url = postgres.urlOf(name);
  await promisify(execFile)(process.execPath, ['dist/cli/main.js', 'database', 'migrate'], {
    cwd: CHECKOUT,
    env: { PATH: process.env['PATH'], KEY_SERVICE_DATABASE_URL: url },
  });
  await query(url, 'create extension pg_stat_statements');
  return url;
}

/** How often the database has been asked about keys by their hash, as it counts itself. */
export async function lookUpsByHash(databaseUrl: string): Promise<number> {
  const [row] = await query<{ calls: string }>(
    databaseUrl,
    `select coalesce(sum(calls), 0) as calls from pg_stat_statements s join pg_database d on d.oid = s.dbid
     where d.datname = current_database() and s.query ilike '%key_hash%' and s.query ilike 'select%'`,
  );
  return Number(row?.calls);
}
