import pg from 'pg';

/** The same server, another database. */
function withDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

export async function createDatabase(adminUrl: string, name: string, template?: string): Promise<string> {
  await execute(adminUrl, `create database "${name}"${template === undefined ? '' : ` template "${template}"`}`);
  return withDatabase(adminUrl, name);
}

export async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await execute(adminUrl, `drop database if exists "${name}" with (force)`);
}

/** Runs one statement on a connection of its own. */
export async function execute<Row extends pg.QueryResultRow>(
  url: string,
  statement: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(statement, values)).rows;
  } finally {
    await client.end();
  }
}
