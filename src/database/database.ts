import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { settledWithin } from '../time-limit.ts';
import { ConnectionTrouble, databaseError, isConnectionTrouble } from './database-error.ts';

/** What a store is handed: the same type inside and outside a transaction. */
export type Queries = Pick<NodePgDatabase, 'select' | 'insert' | 'update' | 'delete' | 'execute' | '$with' | 'with'>;

/** How the pool stands: `waiting` counts requests that wait for a connection. */
export interface PoolState {
  total: number;
  idle: number;
  waiting: number;
}

export interface Database {
  /** Runs statements that each stand alone. @throws ServiceError `database_unavailable` within `limitMs` */
  query<T>(work: (queries: Queries) => Promise<T>, limitMs?: number): Promise<T>;
  /** Runs statements that all happen or none. @throws ServiceError `database_unavailable` within `limitMs` */
  transaction<T>(work: (queries: Queries) => Promise<T>, limitMs?: number): Promise<T>;
  poolState(): PoolState;
  /** Waits for running statements, and no longer than `limitMs`. */
  close(limitMs: number): Promise<void>;
}

/**
 * A dependency that is gone is answered within 2 s. A use case makes one trip to the database, so this is its
 * whole share. The limits below end each statement behind a trip that was given up, and it does not commit.
 */
const TRIP_LIMIT_MS = 1_600;
const CONNECT_LIMIT_MS = 1_200;
const STATEMENT_LIMIT_MS = 1_400;
/** The driver's own limit: it ends a statement whose answer never comes, on a connection that looks alive. */
const ANSWER_LIMIT_MS = 1_500;
const LOCK_LIMIT_MS = 1_000;
/** Far above any transaction here; it frees the locks of a replica that stalled in the middle of one. */
const IDLE_IN_TRANSACTION_LIMIT_MS = 5_000;
const IDLE_CONNECTION_MS = 30_000;

export interface DatabaseOptions {
  /** With its TLS mode settled, see connection-url.ts. */
  url: string;
  poolMax: number;
  /** Told of a connection that broke while nobody used it; the pool has already let go of it. */
  onIdleConnectionLost: () => void;
}

export function openDatabase({ url, poolMax, onIdleConnectionLost }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'key-service',
    max: poolMax,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    statement_timeout: STATEMENT_LIMIT_MS,
    query_timeout: ANSWER_LIMIT_MS,
    lock_timeout: LOCK_LIMIT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_LIMIT_MS,
    keepAlive: true,
  });
  // Both stay attached for good: an error event that nobody listens to would end the process. The pool speaks for its
  // idle connections; one that is lost between two statements of a transaction speaks for itself, and the next statement
  // on it fails.
  pool.on('error', onIdleConnectionLost);
  pool.on('connect', (client) => client.on('error', () => {}));
  const queries = drizzle(pool);

  return {
    query: (work, limitMs = TRIP_LIMIT_MS) => trip(limitMs, () => work(queries)),
    transaction: (work, limitMs = TRIP_LIMIT_MS) => trip(limitMs, (limit) => inTransaction(pool, work, limit)),
    poolState: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: (limitMs) => settledWithin(limitMs, pool.end()),
  };
}

/**
 * Drizzle's own transaction hands its connection back to the pool whatever happened to it. One that stopped
 * answering would be given to the next request, so that only errors the server itself reported keep it.
 */
async function inTransaction<T>(pool: pg.Pool, work: (queries: Queries) => Promise<T>, limit: TripLimit): Promise<T> {
  const client = await pool.connect().catch((cause: unknown) => {
    throw new ConnectionTrouble('No connection', { cause });
  });
  if (limit.signal.aborted) {
    // It was given up while it waited; the connection is for those who still wait.
    client.release();
    throw new ConnectionTrouble('Time limit');
  }
  let held = true;
  const release = (broken: boolean) => {
    if (held) client.release(broken);
    held = false;
  };
  // Its caller is told that it failed, so it must not happen later: without its connection it cannot commit.
  limit.signal.addEventListener('abort', () => release(true), { once: true });
  let broken = false;
  try {
    return await drizzle(client).transaction(async (queries) => {
      const result = await work(queries);
      // A process that was stopped wakes up with its timers still to fire.
      if (!held || performance.now() > limit.deadline) throw new ConnectionTrouble('Time limit');
      return result;
    });
  } catch (error) {
    broken = isConnectionTrouble(error);
    throw error;
  } finally {
    release(broken);
  }
}

/** When a trip is given up: `signal` fires then, and `deadline` is then, by the monotonic clock in ms. */
interface TripLimit {
  signal: AbortSignal;
  deadline: number;
}

/** Bounds a trip in time, and lets nothing of the driver's errors out: their messages hold parameter values. */
async function trip<T>(limitMs: number, work: (limit: TripLimit) => Promise<T>): Promise<T> {
  const givenUp = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      givenUp.abort();
      reject(new ConnectionTrouble('Time limit'));
    }, limitMs);
  });
  try {
    return await Promise.race([work({ signal: givenUp.signal, deadline: performance.now() + limitMs }), limit]);
  } catch (error) {
    throw databaseError(error);
  } finally {
    clearTimeout(timer);
  }
}
