import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { settledWithin } from '../time-limit.ts';
import { ConnectionTrouble } from './database-error.ts';
import type { Queries } from './queries.ts';
import { connectionOptions, type DatabaseServer, patientServerLimitsMs, SERVER_LIMITS_MS } from './server.ts';
import { inTransaction } from './transaction.ts';
import { inTime, trip } from './trip.ts';

/** How the pool stands: `waiting` counts requests that wait for a connection. */
export interface PoolState {
  total: number;
  idle: number;
  waiting: number;
}

/** A statement that is planned once for each connection and run many times, with its values by name. */
export type Prepared<T> = (values: Record<string, unknown>, limitMs?: number) => Promise<T>;

/** What Drizzle's query builders have in common. */
interface Preparable<T> {
  prepare(name: string): { execute(values?: Record<string, unknown>): Promise<T> };
}

export interface Database {
  /** Runs statements that each stand alone. @throws ServiceError `database_unavailable` within `limitMs` */
  query<T>(work: (queries: Queries) => Promise<T>, limitMs?: number): Promise<T>;
  /** Runs statements that all happen or none. @throws ServiceError `database_unavailable` within `limitMs` */
  transaction<T>(work: (queries: Queries) => Promise<T>, limitMs?: number): Promise<T>;
  /** Prepares one statement; `name` is its name at the server, different for every statement. Run, it is a `query`. */
  prepare<T>(name: string, build: (queries: Queries) => Preparable<T>): Prepared<T>;
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
/** The driver's own limit: it ends a statement whose answer never comes, on a connection that looks alive. */
const ANSWER_LIMIT_MS = 1_500;
const IDLE_CONNECTION_MS = 30_000;

export interface DatabaseOptions {
  server: Pick<DatabaseServer, 'url' | 'pooled'>;
  poolMax: number;
  /** Told of a connection that broke while nobody used it; the pool has already let go of it. */
  onIdleConnectionLost: () => void;
  /** For work that no request waits for: how long a trip and each of its statements may take, locks excepted. */
  patienceMs?: number;
}

/**
 * A standby may be behind its primary, for as long as it likes: what was revoked there would still be good here. It becomes
 * a primary without losing its connections, and a primary no standby.
 */
async function refuseStandby(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  if (rows[0]?.standby !== false) throw new ConnectionTrouble('A standby');
}

export function openDatabase({ server, poolMax, onIdleConnectionLost, patienceMs }: DatabaseOptions): Database {
  const tripLimitMs = patienceMs ?? TRIP_LIMIT_MS;
  const serverLimitsMs = patienceMs === undefined ? SERVER_LIMITS_MS : patientServerLimitsMs(patienceMs);
  const pool = new pg.Pool({
    ...connectionOptions(server, 'key-service', CONNECT_LIMIT_MS),
    // A pooler refuses to set these for a session; there each transaction sets its own.
    ...(server.pooled ? {} : serverLimitsMs),
    query_timeout: patienceMs ?? ANSWER_LIMIT_MS,
    max: poolMax,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    // Not its `verify`, which forgets a connection whose request gave up while it was being verified.
    onConnect: refuseStandby,
  });
  // Both stay attached for good: an error event that nobody listens to would end the process. The pool speaks for its
  // idle connections; one that is lost between two statements of a transaction speaks for itself, and the next statement
  // on it fails.
  pool.on('error', onIdleConnectionLost);
  pool.on('connect', (client) => client.on('error', () => {}));
  const queries = drizzle(pool);

  const transaction: Database['transaction'] = (work, limitMs = tripLimitMs) =>
    trip(limitMs, (limit) =>
      inTransaction(pool, work, { limit, serverLimitsMs: server.pooled ? serverLimitsMs : null }),
    );

  return {
    // Behind a pooler a statement has limits, and knows where it is, only in a transaction.
    query: server.pooled
      ? transaction
      : (work, limitMs = tripLimitMs) => trip(limitMs, async (limit) => inTime(limit, await work(queries))),
    transaction,
    prepare(name, build) {
      // A name would not outlive the transaction there.
      if (server.pooled) {
        return (values, limitMs) => transaction((queries) => build(queries).prepare('').execute(values), limitMs);
      }
      const prepared = build(queries).prepare(name);
      return (values, limitMs = tripLimitMs) =>
        trip(limitMs, async (limit) => inTime(limit, await prepared.execute(values)));
    },
    poolState: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: (limitMs) => settledWithin(limitMs, pool.end()),
  };
}
