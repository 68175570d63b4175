import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isTlsRefusal, settleTls } from './connection-url.ts';
import { sqlStateOf } from './database-error.ts';
import { connectionOptions, type DatabaseServer } from './server.ts';

/** In a deploy the database may come up after the service; this long it is waited for. */
const PATIENCE_MS = 30_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const CONNECT_LIMIT_MS = 5_000;

/** Classes of SQLSTATE that waiting does not mend: a refused login, a database that does not exist, a protocol fault. */
const LASTING_CLASSES = new Set(['28', '3D', '08']);
/** Node's codes that waiting may mend. Any other code is a file that cannot be read, or a certificate that is not trusted. */
const PASSING_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** The database could not be reached. Safe to print: a code, never the URL or a host. */
export class DatabaseUnreachable extends Error {
  override readonly name = 'DatabaseUnreachable';
}

export interface ReachOptions {
  onWaiting: (reason: string) => void;
  patienceMs?: number;
  /** Where the URL came from, for the message. */
  variable?: string;
}

/**
 * Waits until the database takes connections, settles the TLS mode on the way, and finds out whether a pooler stands
 * between.
 *
 * @throws DatabaseUnreachable after 30 s, or at once when the server refuses the login or has no such database
 */
export async function reachDatabase(
  url: string,
  { onWaiting, patienceMs = PATIENCE_MS, variable = 'KEY_SERVICE_DATABASE_URL' }: ReachOptions,
): Promise<DatabaseServer> {
  return patiently({ onWaiting, patienceMs, variable }, async () => {
    const settled = await settleTls(url);
    return { ...settled, pooled: await isPooled(settled.url) };
  });
}

/** Tries again while waiting may help. @throws DatabaseUnreachable */
async function patiently<T>(
  { onWaiting, patienceMs, variable }: Required<ReachOptions>,
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt();
    } catch (error) {
      const reason = reasonOf(error);
      if (isLasting(error)) {
        throw new DatabaseUnreachable(`The database refused the connection (${reason}). Check ${variable}.`);
      }
      if (performance.now() + pause >= deadline) {
        throw new DatabaseUnreachable(`The database cannot be reached (${reason}). Check ${variable}.`);
      }
      if (pause === FIRST_PAUSE_MS) onWaiting(reason);
      await sleep(pause);
    }
  }
}

/** Every way to the database that was configured. */
export interface DatabaseServers {
  /** For everything that takes a connection for no longer than a statement or a transaction. */
  pool: DatabaseServer;
  /** For what needs a session: the change feed. null where only a pooler is known. */
  direct: DatabaseServer | null;
}

/**
 * Reaches the database in every way that was configured.
 *
 * @throws DatabaseUnreachable also when two ways lead to two databases: one of them would be migrated for nothing
 */
export async function reachServers(
  { databaseUrl, directDatabaseUrl }: { databaseUrl: string; directDatabaseUrl: string | null },
  onWaiting: ReachOptions['onWaiting'],
): Promise<DatabaseServers> {
  const pool = await reachDatabase(databaseUrl, { onWaiting });
  if (directDatabaseUrl === null) return { pool, direct: pool.pooled ? null : pool };
  const options = { onWaiting, patienceMs: PATIENCE_MS, variable: 'KEY_SERVICE_DIRECT_DATABASE_URL' };
  const direct = await reachDatabase(directDatabaseUrl, options);
  // Through a pooler no session keeps a lock; that it leads to one is said later, and nothing is trusted to it.
  if (!direct.pooled && !(await patiently(options, () => leadToOneDatabase(direct.url, pool.url)))) {
    throw new DatabaseUnreachable(
      'KEY_SERVICE_DIRECT_DATABASE_URL leads to another database than KEY_SERVICE_DATABASE_URL. ' +
        'Both have to lead to the same database of one server.',
    );
  }
  return { pool, direct };
}

/**
 * A pooler gives its clients process ids of its own, for it is the pooler that they would ask to cancel a statement; a
 * server's own connection has the one that the server says.
 */
function isPooled(url: string): Promise<boolean> {
  return connected(url, async (client) => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    return rows[0]?.pid !== (client as pg.Client & { processID: number | null }).processID;
  });
}

/** Advisory locks are a database's own: one that is held through the first way cannot be had through the second. */
function leadToOneDatabase(direct: string, other: string): Promise<boolean> {
  const lock = [randomBytes(8).readBigInt64BE().toString()];
  return connected(direct, async (holder) => {
    await holder.query('select pg_advisory_lock($1)', lock);
    return connected(other, async (client) => {
      const { rows } = await client.query<{ free: boolean }>('select pg_try_advisory_xact_lock($1) as free', lock);
      return rows[0]?.free === false;
    });
  });
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    ...connectionOptions({ url }, 'key-service start', CONNECT_LIMIT_MS),
    query_timeout: CONNECT_LIMIT_MS,
  });
  // One that is lost after it answered has answered; before that, connect() or query() rejects.
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}

function isLasting(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== null) return LASTING_CLASSES.has(sqlState.slice(0, 2));
  const code = codeOf(error);
  return isTlsRefusal(error) || (code !== undefined && !PASSING_CODES.has(code));
}

/** A SQLSTATE or a code of Node's, such as ECONNREFUSED or a TLS alert; never a message, which may name hosts and users. */
function reasonOf(error: unknown): string {
  const sqlState = sqlStateOf(error);
  if (sqlState !== null) return `SQLSTATE ${sqlState}`;
  if (isTlsRefusal(error)) return 'it offers no TLS, which the sslmode asks for';
  return codeOf(error) ?? 'no answer';
}

function codeOf(error: unknown): string | undefined {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const code = (first as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
