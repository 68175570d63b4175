import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';

const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));

/** Gives an empty database the first of the migrations alone. Returns how many there are after it. */
export async function applyFirstMigration(url: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'key-service-migrations-'));
  const client = new pg.Client({ connectionString: url });
  try {
    await cp(MIGRATIONS, folder, { recursive: true });
    const file = join(folder, 'meta', '_journal.json');
    const journal = JSON.parse(await readFile(file, 'utf8')) as { entries: unknown[] };
    const [first, ...later] = journal.entries;
    await writeFile(file, JSON.stringify({ ...journal, entries: [first] }));
    await client.connect();
    await migrate(drizzle(client), {
      migrationsFolder: folder,
      migrationsSchema: 'key_service',
      migrationsTable: '__drizzle_migrations',
    });
    return later.length;
  } finally {
    await client.end();
    await rm(folder, { recursive: true, force: true });
  }
}
