import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../development/embedded-postgres/embedded-postgres.ts';
import { reachDatabase } from '../../src/database/reach.ts';
import { prepareDatabase } from '../../src/prepare-database.ts';

/** A server of this file's own: whether it speaks TLS is what the tests are about. */
let directory: string;
let server: EmbeddedPostgres;
const options = () => ({ directory, database: 'tls', durable: false });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'key-service-tls-'));
  server = await startEmbeddedPostgres(options());
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  const stranger = await generate([{ name: 'commonName', value: 'somebody else' }]);
  await writeFile(join(directory, 'server.crt'), cert);
  await writeFile(join(directory, 'stranger.crt'), stranger.cert);
  await writeFile(join(directory, 'server.key'), key, { mode: 0o600 });
  const { uid, gid } = await stat(join(directory, 'cluster'));
  for (const file of ['server.crt', 'server.key']) await chown(join(directory, file), uid, gid);
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

async function connectWith(parameters: Record<string, string>, host = '127.0.0.1') {
  const url = new URL(server.url);
  url.hostname = host;
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const settled = await reachDatabase(url.href, { onWaiting: () => {} });
  const client = new pg.Client({ connectionString: settled.url });
  await client.connect();
  const { rows } = await client.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
  await client.end();
  expect(settled.encrypted).toBe(rows[0]?.ssl);
  return settled.encrypted ? 'encrypted' : 'plain';
}

/** The server's URL with an sslmode. */
function urlWith(sslmode: string): string {
  const url = new URL(server.url);
  url.searchParams.set('sslmode', sslmode);
  return url.href;
}

/** What a start warns of that goes this way. */
async function warnings(environment: 'development' | 'production', pool: string, direct: string | null) {
  const warned: unknown[] = [];
  const logger = { info: () => {}, warn: (message: unknown) => warned.push(message) };
  await prepareDatabase({
    config: { environment },
    secrets: { databaseUrl: pool, directDatabaseUrl: direct },
    logger,
  } as unknown as Parameters<typeof prepareDatabase>[0]);
  return warned;
}
const warningOf = (variable: string) => `the database connection is not encrypted; sslmode in ${variable} changes that`;

describe('A server without TLS', () => {
  it.each([
    ['no sslmode', {}, 'plain'],
    ['disable', { sslmode: 'disable' }, 'plain'],
    ['allow', { sslmode: 'allow' }, 'plain'],
    ['prefer', { sslmode: 'prefer' }, 'plain'],
  ])('is spoken to in plain with %s', async (_, parameters, expected) => {
    expect(await connectWith(parameters)).toBe(expected);
  });

  it.each(['require', 'verify-full', 'no-verify'])(
    'is refused with %s: nothing is sent unencrypted',
    async (sslmode) => {
      await expect(connectWith({ sslmode })).rejects.toThrow('refused the connection');
    },
  );
});

describe('A server with TLS', () => {
  beforeAll(async () => {
    await server.stop();
    const files = { ssl_cert_file: join(directory, 'server.crt'), ssl_key_file: join(directory, 'server.key') };
    server = await startEmbeddedPostgres({ ...options(), settings: { ssl: 'on', ...files } });
  });
  const root = () => ({ sslrootcert: join(directory, 'server.crt') });
  const strangersRoot = () => ({ sslrootcert: join(directory, 'stranger.crt') });

  it.each(['disable'])('is spoken to in plain with %s', async (sslmode) => {
    expect(await connectWith({ sslmode })).toBe('plain');
  });

  it.each(['allow', 'prefer', 'require', 'no-verify'])(
    'is encrypted with %s, whoever signed its certificate',
    async (sslmode) => {
      expect(await connectWith({ sslmode })).toBe('encrypted');
    },
  );

  it('is verified by its authority with verify-ca, and with require when an authority is given', async () => {
    expect(await connectWith({ sslmode: 'verify-ca', ...root() })).toBe('encrypted');
    expect(await connectWith({ sslmode: 'require', ...root() })).toBe('encrypted');
    await expect(connectWith({ sslmode: 'verify-ca', ...strangersRoot() })).rejects.toThrow('refused the connection');
    await expect(connectWith({ sslmode: 'require', ...strangersRoot() })).rejects.toThrow('refused the connection');
  });

  it('is verified by its name too with verify-full', async () => {
    expect(await connectWith({ sslmode: 'verify-full', ...root() }, 'localhost')).toBe('encrypted');
    await expect(connectWith({ sslmode: 'verify-full', ...root() }, '127.0.0.1')).rejects.toThrow(
      'refused the connection',
    );
    await expect(connectWith({ sslmode: 'verify-full' }, 'localhost')).rejects.toThrow('refused the connection');
  });

  it('is warned of at a start for each way that is not encrypted, by the name of its variable', async () => {
    const [plain, encrypted] = [urlWith('disable'), urlWith('require')];
    const [pool, direct] = ['KEY_SERVICE_DATABASE_URL', 'KEY_SERVICE_DIRECT_DATABASE_URL'].map(warningOf);
    expect(await warnings('production', encrypted, encrypted)).toEqual([]);
    expect(await warnings('production', encrypted, plain)).toEqual([direct]);
    expect(await warnings('production', plain, encrypted)).toEqual([pool]);
    expect(await warnings('production', plain, plain)).toEqual([pool, direct]);
    expect(await warnings('production', plain, null)).toEqual([pool]);
    expect(await warnings('development', plain, plain)).toEqual([]);
  });
});
