import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { within } from '../time-limit.ts';
import { ConnectionTrouble, sqlStateOf } from './database-error.ts';
import type { Queries } from './queries.ts';
import { SCHEMA_NAME } from './schema/index.ts';
import { connectionOptions, type DatabaseServer } from './server.ts';

const JOURNAL = '__drizzle_migrations';
const options = {
  // The same distance from src/database and from dist/database.
  migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)),
  migrationsSchema: SCHEMA_NAME,
  migrationsTable: JOURNAL,
};

/** Any number that no other program on the same database uses: "keyservi" in ASCII. */
const ADVISORY_LOCK = '7738725071236265577';
/** One replica migrates while the others wait; a long migration must not make them give up and restart. */
const LOCK_LIMIT_MS = 10 * 60_000;
/**
 * A migration that waits for a table makes everything that comes after it wait too. It gives up before that is long, with
 * all the locks that it has, and tries again.
 */
const TABLE_LOCK_LIMIT_MS = 2_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** A table was in use for too long; a deadlock was ended. */
const BUSY = new Set(['55P03', '40P01']);
const CONNECT_LIMIT_MS = 5_000;
/** A database that takes connections and then says nothing must not hold up a start for ever. */
const CHECK_LIMIT_MS = 5_000;
const noAnswer = () => new ConnectionTrouble('No answer');

/** What to do about the failures that an operator meets, by SQLSTATE. */
const REMEDIES: Record<string, string> = {
  '42501': ': this user may not alter the database; run `db:migrate` as one who may',
  '55P03': ': a table that they alter was in use all the time; end the transaction that uses it',
};

/** When the newest migration that this build knows was made, in milliseconds; the journal's own measure. */
let newest: number | undefined;
function newestKnown(): number {
  newest ??= Math.max(...readMigrationFiles(options).map((migration) => migration.folderMillis));
  return newest;
}

/** The migrations could not be applied. Safe to print. */
export class MigrationsFailed extends Error {
  override readonly name = 'MigrationsFailed';
}

/**
 * Applies what is missing, one replica at a time: Drizzle's migrator takes no lock of its own. Where nothing is missing
 * it changes nothing and needs no right to, so that the service can run as a user who may not alter tables.
 *
 * @returns how many migrations it applied
 * @throws MigrationsFailed
 */
export async function applyMigrations(
  server: Pick<DatabaseServer, 'url' | 'pooled'>,
  onWaiting: () => void = () => {},
): Promise<number> {
  const client = migrationClient(server);
  const guard = migrationClient(server);
  try {
    await client.connect();
    const queries = drizzle(client);
    if (await within(CHECK_LIMIT_MS, migrationsApplied(queries), noAnswer)) return 0;
    await guard.connect();
    await takeTurn(guard, onWaiting);
    const before = await countApplied(queries);
    await migrateWhenFree(queries);
    return (await countApplied(queries)) - before;
  } catch (error) {
    const sqlState = sqlStateOf(error);
    throw new MigrationsFailed(
      `The migrations could not be applied (${sqlState ?? 'connection lost'})${REMEDIES[sqlState ?? ''] ?? ''}.`,
    );
  } finally {
    await client.end();
    await guard.end(); // the next one's turn
  }
}

/** Each attempt is one transaction: what it had done before it met a busy table is rolled back, and its locks are free. */
async function migrateWhenFree(queries: Parameters<typeof migrate>[0]): Promise<void> {
  const deadline = performance.now() + LOCK_LIMIT_MS;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      await migrate(queries, options);
      return;
    } catch (error) {
      if (!BUSY.has(sqlStateOf(error) ?? '') || performance.now() + pause >= deadline) throw error;
      await sleep(pause);
    }
  }
}

/**
 * Waits for the lock that makes it our turn, and keeps it in a transaction of its own, which belongs to one connection of the
 * server even where a pooler stands between. It ends with the connection.
 */
async function takeTurn(guard: pg.Client, onWaiting: () => void): Promise<void> {
  await guard.query(
    `begin; set local statement_timeout = ${LOCK_LIMIT_MS}; set local lock_timeout = 0;
     set local idle_in_transaction_session_timeout = 0`,
  );
  const attempt = await guard.query<{ locked: boolean }>(
    `select pg_try_advisory_xact_lock(${ADVISORY_LOCK}) as locked`,
  );
  if (attempt.rows[0]?.locked === true) return;
  onWaiting();
  await guard.query(`select pg_advisory_xact_lock(${ADVISORY_LOCK})`);
}

function migrationClient(server: Pick<DatabaseServer, 'url' | 'pooled'>): pg.Client {
  const client = new pg.Client({
    ...connectionOptions(server, 'key-service migrations', CONNECT_LIMIT_MS),
    // A role's own limit may be too short for a migration, and for a lock there may be none. Behind a pooler neither can be
    // set: no session is ours, and Drizzle begins the transaction of the migrations itself. There a busy table is waited
    // for as long as the role's own limit says.
    ...(server.pooled ? {} : { statement_timeout: LOCK_LIMIT_MS, lock_timeout: TABLE_LOCK_LIMIT_MS }),
    query_timeout: LOCK_LIMIT_MS,
  });
  client.on('error', () => {}); // a lost connection fails the statement in flight, which is where it is handled
  return client;
}

/**
 * Whether the database has at least what this build needs. It may have more: during a deploy the next version's
 * replicas migrate first.
 */
export async function migrationsApplied(queries: Pick<Queries, 'execute'>): Promise<boolean> {
  if (!(await journalExists(queries))) return false;
  const result = await queries.execute<{ newest: string | null }>(
    sql`select max(created_at) as newest from ${sql.identifier(SCHEMA_NAME)}.${sql.identifier(JOURNAL)}`,
  );
  return Number(result.rows[0]?.newest ?? 0) >= newestKnown();
}

async function countApplied(queries: Pick<Queries, 'execute'>): Promise<number> {
  if (!(await journalExists(queries))) return 0;
  const result = await queries.execute<{ count: number }>(
    sql`select count(*)::int as count from ${sql.identifier(SCHEMA_NAME)}.${sql.identifier(JOURNAL)}`,
  );
  return result.rows[0]?.count ?? 0;
}

async function journalExists(queries: Pick<Queries, 'execute'>): Promise<boolean> {
  const result = await queries.execute<{ exists: boolean }>(
    sql`select to_regclass(${`${SCHEMA_NAME}.${JOURNAL}`}) is not null as exists`,
  );
  return result.rows[0]?.exists === true;
}
