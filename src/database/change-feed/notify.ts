import { sql } from 'drizzle-orm';
import type { Database } from '../database.ts';
import type { Notify } from './change-feed.ts';

/** Notifies as a transaction of its own, which has committed when it is answered. */
export function notifyThrough(database: Database): Notify {
  return (channel, payload) =>
    database.query((queries) => queries.execute(sql`select pg_notify(${channel}, ${payload})`));
}
