import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { startService, type TestService } from '../support/service.ts';

describe('with METRICS_PORT', () => {
  let clerk: ClerkStandIn;
  let service: TestService;
  let metricsUrl: string;
  beforeAll(async () => {
    clerk = await startClerkStandIn();
    service = await startService({ environment: { ...clerk.environment, METRICS_PORT: '0' } });
    metricsUrl = `http://127.0.0.1:${service.metricsPort}`;
  });
  afterAll(async () => {
    await service.stop();
    await clerk.close();
  });

  /** How much a series grows meanwhile. */
  async function growth(name: string, labels: Record<string, string>, work: () => Promise<unknown>): Promise<number> {
    const before = (await metricsOf(service)).value(name, labels) ?? 0;
    await work();
    // A request is counted when its connection is done with it, a moment after its answer.
    await new Promise((resolve) => setTimeout(resolve, 50));
    return ((await metricsOf(service)).value(name, labels) ?? 0) - before;
  }

  it('/metrics answers in Prometheus’ text format, not to be stored', async () => {
    const response = await fetch(`${metricsUrl}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toMatch(/^# HELP /m);
  });

  it('has a port of its own, which answers nothing else', async () => {
    expect(service.metricsPort).not.toBe(service.port);
    for (const path of ['/', '/health', '/validate', '/metrics/', '/internal/keys']) {
      expect((await fetch(metricsUrl + path)).status, path).toBe(404);
    }
    expect((await fetch(`${metricsUrl}/metrics`, { method: 'POST' })).status).toBe(404);
  });

  it('is not on the port of the service', async () => {
    const answers = [await service.request('GET', '/metrics'), await service.asService('GET', '/metrics')];
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(Array(2).fill([404, 'not_found']));
  });

  it('listens on loopback alone', async () => {
    const { networkInterfaces } = await import('node:os');
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of others) {
      await expect(fetch(`http://${address}:${service.metricsPort}/metrics`)).rejects.toThrow();
    }
  });

  it.each([
    ['GET', '/health', '/health', '200'],
    ['GET', '/validate', '/validate', '401'],
    ['GET', '/validate/keys/some-provider', '/validate/keys/:provider', '401'],
    ['DELETE', '/internal/keys/some-provider', '/internal/keys/:provider', '401'],
    ['PUT', '/internal/keys', '/internal/keys', '405'],
    ['GET', '/nowhere', 'unmatched', '404'],
  ])('counts the duration of %s %s under its route %s and status %s', async (method, path, route, status) => {
    const name = 'key_service_http_request_duration_seconds_count';
    expect(await growth(name, { method, route, status }, () => service.request(method, path))).toBe(1);
  });

  it('measures durations in seconds', async () => {
    const labels = { method: 'GET', route: '/health', status: '200' };
    const sum = await growth('key_service_http_request_duration_seconds_sum', labels, () =>
      service.request('GET', '/health'),
    );
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(5);
  });

  it('counts validations by outcome', async () => {
    const org = newOrganization();
    const name = 'key_service_validations_total';
    const { key, id } = await service.issueKey(org);
    expect(await growth(name, { outcome: 'valid' }, () => service.asHolder(key, '/validate'))).toBe(1);
    expect(
      await growth(name, { outcome: 'api_key_invalid' }, () => service.asHolder('not-a-real-key', '/validate')),
    ).toBe(1);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expect(await growth(name, { outcome: 'api_key_revoked' }, () => service.asHolder(key, '/validate'))).toBe(1);
    expect(await growth(name, { outcome: 'valid' }, () => service.asHolder(key, '/validate'))).toBe(0);
  });

  it('counts questions to Clerk by outcome', async () => {
    const { key } = await service.issueKey(newOrganization());
    const ask = () => service.asHolder(key, '/validate');
    expect(await growth('key_service_clerk_calls_total', { outcome: 'answered' }, ask)).toBe(1);
    expect(await growth('key_service_clerk_calls_total', { outcome: 'answered' }, ask)).toBe(0);
    expect((await metricsOf(service)).value('key_service_clerk_breaker_open')).toBe(0);
  });

  it('counts stored secrets that do not open', async () => {
    const org = newOrganization();
    await service.saveProviderKey(org, 'openai', 'not-a-real-key');
    await service.sql(
      `update key_service.provider_key_versions set sealed = set_byte(sealed, 50, get_byte(sealed, 50) # 1)
       where provider_key_id = (select max(id::text)::uuid from key_service.provider_keys)`,
    );
    const reveal = () => service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    expect(await growth('key_service_unreadable_secrets_total', {}, reveal)).toBe(1);
  });

  it('shows the connections of the pool by state', async () => {
    const connections = async (state: string) =>
      (await metricsOf(service)).value('key_service_database_pool_connections', { state });
    // What runs in the background has one now and then, for a moment.
    await expect.poll(() => connections('busy'), { interval: 5 }).toBe(0);
    await expect.poll(() => connections('idle'), { interval: 5 }).toBeGreaterThan(0);
    expect((await metricsOf(service)).value('key_service_database_pool_waiting')).toBe(0);
  });

  it('shows memory and event loop of the process', async () => {
    const metrics = await metricsOf(service);
    expect(metrics.value('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(metrics.value('nodejs_eventloop_lag_p99_seconds')).toBeDefined();
  });

  it('has no organisation, key, id, provider or path of anyone in it', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org, { name: 'some-name' });
    await service.saveProviderKey(org, 'some-provider', 'not-a-real-provider-key');
    await service.asHolder(key, '/validate/keys/some-provider');
    await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    await service.request('GET', `/some-path/${org}`);
    await service.request('BREW', '/health').catch(() => undefined);
    const { text } = await metricsOf(service);
    for (const secret of [org, id, key, key.slice(0, 12), 'some-', 'not-a-real', 'org_'])
      expect(text).not.toContain(secret);
    expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}/);
  });

  it('has a bounded set of labels', async () => {
    const labels = new Set((await metricsOf(service)).text.match(/(?<=[{,])\w+(?==")/g));
    const ours = ['method', 'route', 'status', 'outcome', 'state', 'cache', 'le'];
    const ofNode = ['version', 'major', 'minor', 'patch', 'type', 'space', 'kind', 'quantile'];
    expect([...labels].filter((label) => ![...ours, ...ofNode].includes(label))).toEqual([]);
  });
});

describe('without METRICS_PORT', () => {
  it('there are no metrics anywhere', async () => {
    const service = await startService();
    expect(service.metricsPort).toBeNull();
    expect((await service.request('GET', '/metrics')).status).toBe(404);
    await service.stop();
  });
});
