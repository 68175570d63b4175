import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../../development/embedded-postgres/embedded-postgres.ts';
import { spawnOwner, startOwner } from './owner.ts';
import { isAlive, killAtOnce, until } from './processes.ts';

const TIMEOUT = { timeout: 30_000 };

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'embedded-postgres-'));
});

afterEach(async () => {
  await until(async () => (await postmasterPid()) === undefined);
  await rm(directory, { recursive: true, force: true });
});

const start = () => startEmbeddedPostgres({ directory, database: 'rooms', durable: false });

describe('a server in an empty directory', TIMEOUT, () => {
  it('is a PostgreSQL of its own, on loopback, in UTF-8, behind a password in a private file', async () => {
    const server = await start();
    try {
      expect(server.attached).toBe(false);
      expect(await query(server.url, 'SHOW server_encoding')).toEqual([{ server_encoding: 'UTF8' }]);
      expect(await query(server.url, 'SHOW max_connections')).toEqual([{ max_connections: '200' }]);
      expect(await query(server.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
      const withoutPassword = server.url.replace(/:[^:@]+@/, ':wrong@');
      await expect(query(withoutPassword, 'SELECT 1')).rejects.toThrow('password authentication failed');
      expect((await stat(join(directory, 'password'))).mode & 0o777).toBe(0o600);
    } finally {
      await server.stop();
    }
  });

  it('keeps its address and its rows over a restart, and leaves no process behind', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE doors AS SELECT 42 AS number');
    const pid = await postmasterPid();
    await first.stop();
    expect(pid !== undefined && isAlive(pid)).toBe(false);

    const second = await start();
    try {
      expect(second.url).toBe(first.url);
      expect(await query(second.url, 'SELECT number FROM doors')).toEqual([{ number: 42 }]);
    } finally {
      await second.stop();
    }
  });

  it('is created once when two processes start at once, and both use it', async () => {
    const owners = await Promise.all([startOwner(directory), startOwner(directory)]);
    const [attached, owning] = owners.sort((a, b) => Number(b.attached) - Number(a.attached));
    expect(owners.map((owner) => owner.attached)).toEqual([true, false]);
    expect(attached?.url).toBe(owning?.url);
    await attached?.kill();
    expect(await query(owning?.url ?? '', 'SELECT 1 AS up')).toEqual([{ up: 1 }]);
    await owning?.kill();
  });
});

describe('an interrupted creation', TIMEOUT, () => {
  it('is done anew, and what it left is removed', async () => {
    const interrupted = spawnOwner(directory);
    await until(async () => (await readdir(directory)).some((name) => name.startsWith('draft-')));
    await killAtOnce(interrupted);
    expect(existsSync(join(directory, 'cluster'))).toBe(false);

    const server = await start();
    expect(await query(server.url, 'SELECT 1 AS up')).toEqual([{ up: 1 }]);
    await server.stop();
    // Copied binaries are there where the server's account cannot reach the packages; they are no draft.
    const left = (await readdir(directory)).filter((name) => !name.startsWith('binaries-'));
    expect(left.sort()).toEqual(['cluster', 'password', 'postgres.log']);
  });
});

describe('a server whose owner is killed', TIMEOUT, () => {
  it('ends by itself', async () => {
    const owner = await startOwner(directory);
    const pid = await postmasterPid();
    await owner.kill();
    await until(() => pid !== undefined && !isAlive(pid));
  });

  it('does not keep the next one from starting at once, with every committed row', async () => {
    const owner = await startOwner(directory, true);
    await query(owner.url, 'CREATE TABLE doors AS SELECT 42 AS number');
    await owner.kill();

    const next = await start();
    try {
      expect(next.attached).toBe(false);
      expect(await query(next.url, 'SELECT number FROM doors')).toEqual([{ number: 42 }]);
    } finally {
      await next.stop();
    }
  });
});

describe('a server that is killed itself', TIMEOUT, () => {
  it('starts again with every committed row, though it could not tidy up', async () => {
    const owner = await startOwner(directory, true);
    await query(owner.url, 'CREATE TABLE doors AS SELECT 42 AS number');
    process.kill((await postmasterPid()) ?? Number.NaN, 'SIGKILL');
    await owner.kill();
    expect(existsSync(join(directory, 'cluster', 'postmaster.pid'))).toBe(true);

    const next = await start();
    try {
      expect(await query(next.url, 'SELECT number FROM doors')).toEqual([{ number: 42 }]);
    } finally {
      await next.stop();
    }
  });
});

describe('a directory whose server is running', TIMEOUT, () => {
  it('is joined, and the server outlives whoever joined it', async () => {
    const owning = await start();
    const joined = await start();
    expect(joined).toMatchObject({ url: owning.url, attached: true });
    await joined.stop();
    expect(await query(owning.url, 'SELECT 1 AS up')).toEqual([{ up: 1 }]);
    await owning.stop();
  });
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function postmasterPid(): Promise<number | undefined> {
  const file = join(directory, 'cluster', 'postmaster.pid');
  const content = await readFile(file, 'utf8').catch(() => '');
  return Number.parseInt(content, 10) || undefined;
}
