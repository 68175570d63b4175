import pg from 'pg';
import { hasCode } from '../has-code.ts';

/** The setting under which a server carries the process that answers for it. */
export const OWNER_SETTING = 'key_service.owner';

export function databaseUrl(port: number, password: string, database: string): string {
  return `postgresql://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

/** The process that owns the server at this address; undefined when no server of ours answers. */
export async function askOwner(url: string): Promise<number | undefined> {
  try {
    return await withClient(url, async (client) => {
      const { rows } = await client.query<{ owner: string | null }>('SELECT current_setting($1, true) AS owner', [
        OWNER_SETTING,
      ]);
      return Number(rows[0]?.owner) || undefined;
    });
  } catch {
    // Not up yet, shutting down, or another program altogether: all the same to who waits.
    return undefined;
  }
}

export async function ensureDatabase(url: string, database: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
    if (rowCount) return;
    try {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
    } catch (error) {
      // Created by another process since we looked: duplicate_database, or its index's unique_violation.
      if (!hasCode(error, '42P04', '23505')) throw error;
    }
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {}); // A query that is under way rejects by itself.
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}
