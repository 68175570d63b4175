import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isTlsRefusal, settleTls } from './connection-url.ts';
import { sqlStateOf } from './database-error.ts';

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

/**
 * Waits until the database takes connections, and settles the TLS mode on the way.
 *
 * @throws DatabaseUnreachable after 30 s, or at once when the server refuses the login or has no such database
 */
export async function reachDatabase(
  url: string,
  { onWaiting, patienceMs = PATIENCE_MS }: { onWaiting: (reason: string) => void; patienceMs?: number },
): Promise<{ url: string; encrypted: boolean }> {
  const deadline = performance.now() + patienceMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      const settled = await settleTls(url);
      await connectOnce(settled.url);
      return settled;
    } catch (error) {
      const reason = reasonOf(error);
      if (isLasting(error)) {
        throw new DatabaseUnreachable(
          `The database refused the connection (${reason}). Check KEY_SERVICE_DATABASE_URL.`,
        );
      }
      if (performance.now() + pause >= deadline) {
        throw new DatabaseUnreachable(`The database cannot be reached (${reason}). Check KEY_SERVICE_DATABASE_URL.`);
      }
      if (pause === FIRST_PAUSE_MS) onWaiting(reason);
      await sleep(pause);
    }
  }
}

async function connectOnce(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  try {
    await client.connect();
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
