import { sql } from 'drizzle-orm';
import type { Queries } from './queries.ts';

/** What one replica does at a time, with the number of its advisory lock: the name in ASCII, as far as it fits. */
const LOCKS = {
  'audit cut': '7022920395498615156',
  janitor: '29943474374864754',
} as const;

/**
 * Whether it is our turn, until the transaction ends: if another replica is at it, nobody waits. The lock is the
 * transaction's and not the session's, so that it is the same behind a pooler.
 *
 * @param what or, of what has no name here, 64 bits of a hash
 */
export async function takeTurn(queries: Queries, what: keyof typeof LOCKS | bigint): Promise<boolean> {
  const { rows } = await queries.execute<{ taken: boolean }>(
    sql`select pg_try_advisory_xact_lock(${String(typeof what === 'bigint' ? what : LOCKS[what])}::bigint) as taken`,
  );
  return rows[0]?.taken === true;
}
