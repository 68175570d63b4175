import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import { ConnectionTrouble, isConnectionTrouble } from './database-error.ts';
import type { Queries } from './queries.ts';
import type { SERVER_LIMITS_MS } from './server.ts';
import { inTime, type TripLimit } from './trip.ts';

/**
 * Drizzle's own transaction hands its connection back to the pool whatever happened to it. One that stopped
 * answering would be given to the next request, so that only errors the server itself reported keep it.
 */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (queries: Queries) => Promise<T>,
  { limit, serverLimitsMs }: { limit: TripLimit; serverLimitsMs: typeof SERVER_LIMITS_MS | null },
): Promise<T> {
  const client = await pool.connect().catch((cause: unknown) => {
    throw new ConnectionTrouble('No connection', { cause });
  });
  if (limit.givenUp) {
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
  limit.onGivenUp = () => release(true);
  let broken = false;
  try {
    return await drizzle(client).transaction(async (queries) => {
      if (serverLimitsMs !== null) await beginBehindPooler(queries, serverLimitsMs);
      const result = await work(queries);
      if (!held) throw new ConnectionTrouble('Time limit');
      return inTime(limit, result);
    });
  } catch (error) {
    broken = isConnectionTrouble(error);
    throw error;
  } finally {
    release(broken);
  }
}

/**
 * Behind a pooler a session cannot have limits, and what one learned of its server may be of another one now: each
 * transaction sets its limits, and finds out whether it is on a standby.
 */
async function beginBehindPooler(queries: Queries, serverLimitsMs: typeof SERVER_LIMITS_MS): Promise<void> {
  const settings = Object.entries(serverLimitsMs).map(
    ([name, limitMs]) => sql`set_config(${name}, ${`${limitMs}`}, true)`,
  );
  const { rows } = await queries.execute<{ standby: boolean }>(
    sql`select pg_is_in_recovery() as standby, ${sql.join(settings, sql`, `)}`,
  );
  if (rows[0]?.standby !== false) throw new ConnectionTrouble('A standby');
}
