import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BuiltService, productionEnvironment, startBuiltService } from '../support/built-service.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { slowRequest } from '../support/slow-request.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let database: TestDatabase;
let environment: NodeJS.ProcessEnv;
let service: BuiltService;
beforeEach(async () => {
  database = await createTestDatabase();
  environment = { ...productionEnvironment(database.url), USAGE_FLUSH_MS: '600000' };
  service = await startBuiltService(environment);
});
afterEach(async () => {
  await service.end('SIGKILL');
  await database.drop();
});

describe('SIGTERM', () => {
  it('finishes what is in flight, asks new connections to close, and ends with 0', async () => {
    const slow = await slowRequest(service.port);
    const ended = service.end('SIGTERM');
    await expect.poll(() => service.output()).toContain('"msg":"stopping"');
    const late = await service.request('GET', '/health');
    expect(late.status).toBe(200);
    expect(late.headers.get('connection')).toBe('close');
    expect((await service.request('GET', '/health/ready')).status).toBe(503);
    slow.finish();
    expect(await slow.answered).toBe(201);
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  it('is graceful from the very moment at which the service says that it is ready', async () => {
    const fresh = await startBuiltService(environment);
    expect(await fresh.end('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(fresh.output()).toContain('"msg":"stopped"');
  });

  it('does not wait for connections that are idle', async () => {
    const idle = connect(service.port, '127.0.0.1');
    await once(idle, 'connect');
    const kept = new Agent({ keepAlive: true });
    await new Promise<void>((resolve) => {
      request({ host: '127.0.0.1', port: service.port, path: '/health', agent: kept }, (response) =>
        response.resume().once('end', resolve),
      ).end();
    });
    const began = performance.now();
    expect((await service.end('SIGTERM')).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(3_000);
    idle.destroy();
    kept.destroy();
  });

  it('ends within ten seconds though a request never does', async () => {
    await slowRequest(service.port);
    const began = performance.now();
    expect((await service.end('SIGTERM')).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('writes what is in memory', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    await service.asHolder(key, '/validate');
    const uses = () => execute(database.url, 'select 1 from key_service.api_key_uses where api_key_id = $1', [id]);
    expect(await uses()).toHaveLength(0);
    await service.end('SIGTERM');
    expect(await uses()).toHaveLength(1);
  });

  it('is not held up by requests whose senders went away while their answers were queued', async () => {
    const head = (id: string) =>
      `GET /internal/api-keys?clerkOrgId=org_any HTTP/1.1\r\nHost: test\r\nX-Service-Key: ${SERVICE_KEY}\r\nX-Request-Id: ${id}\r\n\r\n`;
    const socket = connect(service.port, '127.0.0.1');
    await once(socket, 'connect');
    const ids = ['queued-1', 'queued-2', 'queued-3', 'queued-4', 'queued-5'];
    socket.write(ids.map(head).join(''));
    await new Promise((resolve) => setTimeout(resolve, 5));
    socket.destroy();
    await expect.poll(() => ids.filter((id) => service.output().includes(id)).length).not.toBe(0);
    const began = performance.now();
    await service.end('SIGTERM');
    expect(performance.now() - began).toBeLessThan(2_000);
    const seen = ids.filter((id) => service.output().includes(`"requestId":"${id}"`));
    // Whatever the service began to answer has its line.
    expect(seen).toEqual(ids.slice(0, seen.length));
  });
});

describe('A second signal', () => {
  it('changes nothing: Ctrl-C arrives once from the terminal and once from npm', async () => {
    const slow = await slowRequest(service.port);
    service.process.kill('SIGINT');
    await expect.poll(() => service.output()).toContain('"msg":"stopping"');
    const ended = service.end('SIGINT');
    slow.finish();
    expect(await slow.answered).toBe(201);
    expect((await ended).code).toBe(0);
  });
});

describe('kill -9 of the service', () => {
  it('loses nothing that was acknowledged', async () => {
    const org = newOrganization();
    const issued: string[] = [];
    const saved: string[] = [];
    const load = Array.from({ length: 8 }, async (_, worker) => {
      for (let round = 0; round < 500; round += 1) {
        const provider = `provider-${worker}-${round}`;
        const { key } = await service.issueKey(org);
        issued.push(key);
        if ((await service.saveProviderKey(org, provider, `not-a-real-key-${provider}`)).status === 201)
          saved.push(provider);
        if (issued.length >= 40) service.process.kill('SIGKILL');
      }
    });
    await Promise.allSettled(load);
    expect(issued.length).toBeGreaterThanOrEqual(40);
    service = await startBuiltService(environment);
    for (const key of issued) expect((await service.asHolder(key, '/validate')).status).toBe(200);
    for (const provider of saved) {
      const { body } = await service.asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`);
      expect(body.key).toBe(`not-a-real-key-${provider}`);
    }
  });
});
