import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import { ConnectionTrouble, isConnectionTrouble } from './database-error.ts';
import type { Queries } from './queries.ts';
import { SERVER_LIMITS_MS } from './server.ts';
import type { TripLimit } from './trip.ts';

/**
 * Drizzle's own transaction hands its connection back to the pool whatever happened to it. One that stopped
 * answering would be given to the next request, so that only errors the server itself reported keep it.
 */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (queries: Queries) => Promise<T>,
  { limit, pooled }: { limit: TripLimit; pooled: boolean },
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
      if (pooled) await queries.execute(OWN_LIMITS);
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

/** Behind a pooler a session cannot have limits; a transaction can. */
const OWN_LIMITS = sql.raw(
  Object.entries(SERVER_LIMITS_MS)
    .map(([name, limitMs]) => `set local ${name} = ${limitMs}`)
    .join('; '),
);
