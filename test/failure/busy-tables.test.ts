import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyMigrations } from '../../src/database/migrations.ts';
import { execute } from '../support/database-server.ts';
import { applyFirstMigration } from '../support/first-migration.ts';
import { timed } from '../support/stopwatch.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

/** As long as a migration waits for a table. */
const TABLE_LOCK_LIMIT_MS = 2_000;

let database: TestDatabase;
const clients: pg.Client[] = [];
beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
  await database.drop();
});

/** A transaction that holds what a write to the table holds, until it is ended. */
async function openWriter(table: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  clients.push(client);
  await client.connect();
  await client.query(`begin; lock table key_service.${table} in row exclusive mode`);
  return client;
}

async function triggers(url = database.url): Promise<number> {
  const [row] = await execute<{ count: number }>(
    url,
    `select count(*)::int as count from pg_trigger where tgname in ('announce', 'announce_truncate')`,
  );
  return row?.count ?? 0;
}

async function migrationWaits(): Promise<void> {
  for (;;) {
    const waiting = await execute(
      database.url,
      `select 1 from pg_locks join pg_stat_activity using (pid)
       where not granted and locktype = 'relation' and application_name = 'key-service migrations'
         and datname = current_database()`,
    );
    if (waiting.length > 0) return;
    await sleep(20);
  }
}

describe('A migration of a table that is in use', () => {
  // The first that it alters, and one that it meets with locks on others.
  it.each(['api_keys', 'data_keys'])('lets others write to %s, and is applied when it is free', async (table) => {
    // The tables are there; what announces their changes is yet to come.
    const later = await applyFirstMigration(database.url);
    expect(await triggers()).toBe(0);
    const writer = await openWriter(table);

    const migration = applyMigrations({ url: database.url, pooled: false });
    await migrationWaits();
    const { answer: other, tookMs } = await timed(() => openWriter('api_keys'));
    expect(tookMs).toBeLessThan(TABLE_LOCK_LIMIT_MS + 500);
    await other.query('commit');
    expect(await triggers()).toBe(0);

    await writer.query('commit');
    expect(await migration).toBe(later);
    const migrated = await createTestDatabase();
    expect(await triggers()).toBe(await triggers(migrated.url));
    await migrated.drop();
  });
});
