import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type BuiltService,
  productionEnvironment,
  spawnBuiltService,
  startBuiltService,
  whenReady,
} from '../support/built-service.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const databases: TestDatabase[] = [];
const services: BuiltService[] = [];
async function emptyDatabase(): Promise<string> {
  const database = await createTestDatabase({ empty: true });
  databases.push(database);
  return database.url;
}
async function started(environment: NodeJS.ProcessEnv): Promise<BuiltService> {
  const service = await startBuiltService(environment);
  services.push(service);
  return service;
}
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.end('SIGKILL')));
  await Promise.all(databases.splice(0).map((database) => database.drop()));
});

/** Runs it to its end, which is soon. */
async function run(environment: NodeJS.ProcessEnv) {
  const service = spawnBuiltService(environment);
  const { code } = await service.exit;
  return { code, output: service.output() };
}

describe('A configuration that cannot work', () => {
  it('stops production with one sentence for each missing variable', async () => {
    const { code, output } = await run({ NODE_ENV: 'production' });
    expect(code).toBe(1);
    for (const name of ['KEY_SERVICE_DATABASE_URL', 'ENCRYPTION_KEY', 'CLERK_SECRET_KEY', 'KEY_SERVICE_API_KEY']) {
      expect(output).toContain(`${name} is missing`);
    }
    expect(output).not.toContain('    at ');
  });

  it('is production when nothing says otherwise', async () => {
    const { code, output } = await run({});
    expect(code).toBe(1);
    expect(output).toContain('CLERK_SECRET_KEY is missing');
  });

  it('stops it when its port is taken, and says so', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { code, output } = await run({ ...productionEnvironment(await emptyDatabase()), PORT: String(port) });
    other.close();
    expect(code).toBe(1);
    expect(output).toContain(`cannot listen on 127.0.0.1:${port} (EADDRINUSE)`);
  });

  it('stops it at once when there is no such database, without naming user, password or host', async () => {
    const url = new URL(await emptyDatabase());
    url.pathname = '/no_such_database';
    url.password ||= 'canary-password';
    const { code, output } = await run(productionEnvironment(url.href));
    expect(code).toBe(1);
    expect(output).toContain('SQLSTATE 3D000');
    expect(output).not.toContain(url.password);
  });
});

describe('A start', () => {
  it('opens its port only when everything works: the first health that answers is a service that works', async () => {
    const service = await started(productionEnvironment(await emptyDatabase()));
    expect((await service.request('GET', '/health')).status).toBe(200);
    expect((await service.request('GET', '/health/ready')).status).toBe(200);
    const { key } = await service.issueKey(newOrganization());
    expect((await service.asHolder(key, '/validate')).body).toMatchObject({ valid: true, membership: 'unavailable' });
  });

  it('waits for a database that is still coming up', async () => {
    const url = await emptyDatabase();
    const proxy = await startTcpProxy(url);
    proxy.cut();
    const spawned = spawnBuiltService(productionEnvironment(proxy.through(url)));
    await expect.poll(spawned.output, { timeout: 10_000 }).toContain('waiting for the database');
    proxy.restore();
    const service = await whenReady(spawned);
    expect((await service.request('GET', '/health/ready')).status).toBe(200);
    await service.end('SIGKILL');
    await proxy.close();
  });

  it('succeeds for six replicas at once on an empty database, which is migrated once', async () => {
    const url = await emptyDatabase();
    const environment = productionEnvironment(url);
    const replicas = await Promise.all(Array.from({ length: 6 }, () => started(environment)));
    const ready = await Promise.all(replicas.map((replica) => replica.request('GET', '/health/ready')));
    expect(ready.map(({ status }) => status)).toEqual(Array(6).fill(200));
    const applied = replicas.filter((replica) => replica.output().includes('migrations applied'));
    expect(applied).toHaveLength(1);
    expect(await execute(url, "select 1 from key_service.data_keys where purpose = 'system'")).toHaveLength(1);
  });

  it('says what is missing when something is to be migrated and the user may not', async () => {
    const url = await emptyDatabase();
    const role = `runtime_${randomBytes(4).toString('hex')}`;
    await execute(url, `create role ${role} login password 'not-a-real-password'`);
    const asRole = new URL(url);
    asRole.username = role;
    asRole.password = 'not-a-real-password';
    const { code, output } = await run(productionEnvironment(asRole.href));
    await execute(url, `drop role ${role}`);
    expect(code).toBe(1);
    expect(output).toContain('The migrations could not be applied (42501): this user may not alter the database');
  });

  it('needs no right to alter tables where nothing is to be migrated', async () => {
    const url = await emptyDatabase();
    const environment = productionEnvironment(url);
    await (await started(environment)).end();
    const role = `runtime_${randomBytes(4).toString('hex')}`;
    await execute(url, `create role ${role} login password 'not-a-real-password'`);
    await execute(url, `grant usage on schema key_service to ${role}`);
    await execute(url, `grant select, insert, update, delete on all tables in schema key_service to ${role}`);
    const asRole = new URL(url);
    asRole.username = role;
    asRole.password = 'not-a-real-password';
    const service = await started({ ...environment, KEY_SERVICE_DATABASE_URL: asRole.href });
    const { key } = await service.issueKey(newOrganization());
    expect((await service.asHolder(key, '/validate')).status).toBe(200);
    await service.end();
    await execute(url, `drop owned by ${role}`);
    await execute(url, `drop role ${role}`);
  });
});

describe('A wrong ENCRYPTION_KEY', () => {
  it('stops the start, with the fingerprints and how many data keys need which', async () => {
    const environment = productionEnvironment(await emptyDatabase());
    const first = await started(environment);
    await first.saveProviderKey(newOrganization(), 'anthropic', 'sk-ant-not-a-real-key-0000');
    await first.end();
    const { code, output } = await run({ ...environment, ENCRYPTION_KEY: randomBytes(32).toString('hex') });
    expect(code).toBe(1);
    expect(output).toMatch(/has the fingerprint [0-9a-f]{16}, but 3 data key\(s\) need [0-9a-f]{16}/);
  });

  it('stops the start when the system data key was altered', async () => {
    const url = await emptyDatabase();
    const environment = productionEnvironment(url);
    await (await started(environment)).end();
    await execute(url, 'update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)');
    const { code, output } = await run(environment);
    expect(code).toBe(1);
    expect(output).toContain('does not open the system data key');
  });
});
