import type { ClientConfig } from 'pg';

/** How a PostgreSQL server is reached, as reach.ts found it. */
export interface DatabaseServer {
  /** With its TLS mode settled, see connection-url.ts. */
  url: string;
  encrypted: boolean;
  /**
   * A pooler such as PgBouncer stands between: statements of one session may run on many connections of the server. So
   * no session can LISTEN, hold a lock or keep a prepared statement, and no limit can be set for a whole session.
   */
  pooled: boolean;
}

/** A lost network is noticed without a statement. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 };

/**
 * Kept by the server, which otherwise would go on with what nobody waits for any more: settings of PostgreSQL, in ms. See
 * database.ts for the limits that they stand between.
 */
export const SERVER_LIMITS_MS = {
  statement_timeout: 1_400,
  lock_timeout: 1_000,
  /** Far above any transaction here; it frees the locks of a replica that stalled in the middle of one. */
  idle_in_transaction_session_timeout: 5_000,
};

/** The same for work that no request waits for; requests must not wait for its locks any longer than for each other's. */
export function patientServerLimitsMs(patienceMs: number): typeof SERVER_LIMITS_MS {
  return { ...SERVER_LIMITS_MS, statement_timeout: patienceMs };
}

/** What every connection to a database begins with. `name` is what PostgreSQL's own views show. */
export function connectionOptions({ url }: Pick<DatabaseServer, 'url'>, name: string, connectLimitMs: number) {
  return {
    connectionString: url,
    application_name: name,
    connectionTimeoutMillis: connectLimitMs,
    ...KEEP_ALIVE,
  } satisfies ClientConfig;
}
