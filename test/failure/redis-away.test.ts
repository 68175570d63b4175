import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { type Redis, redisMissing, startRedis } from '../support/redis.ts';
import { startService, type TestService } from '../support/service.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

if (redisMissing !== undefined) console.warn(`Skipped: ${redisMissing}`);

const LOST = 'Redis does not answer: this replica counts rate limits alone until it does';
const FOUND = 'Redis answers: rate limits are counted for all replicas together';

describe.skipIf(redisMissing !== undefined)('With REDIS_URL', () => {
  let redis: Redis;
  /** Of the first replica alone. */
  let proxy: TcpProxy;
  let one: TestService;
  let two: TestService;
  beforeAll(async () => {
    redis = await startRedis();
    proxy = await startTcpProxy(redis.url);
    one = await startService({ environment: { REDIS_URL: proxy.through(redis.url), METRICS_PORT: '0' } });
    two = await startService({ environment: { REDIS_URL: redis.url, METRICS_PORT: '0' }, beside: one });
  });
  afterAll(async () => {
    await two.stop();
    await one.stop();
    await proxy.close();
    await redis.stop();
  });

  const redisUp = async (service: TestService) => (await metricsOf(service)).value('key_service_redis_up');
  const lines = (service: TestService) =>
    service.logLines.map(({ msg }) => msg).filter((msg) => msg === LOST || msg === FOUND);
  const backAgain = (service: TestService) => expect.poll(() => redisUp(service), { timeout: 10_000 }).toBe(1);

  /** Statuses of so many requests at each replica, all at once, and how long the slowest took. */
  async function hammer(key: string, times: number) {
    const asked = [one, two].flatMap((service) =>
      Array.from({ length: times }, async () => {
        const beganMs = performance.now();
        const { status, headers } = await service.asHolder(key, '/validate');
        return { status, tookMs: performance.now() - beganMs, left: headers.get('ratelimit') };
      }),
    );
    const answers = await Promise.all(asked);
    const count = (status: number) => answers.filter((answer) => answer.status === status).length;
    return {
      good: count(200),
      limited: count(429),
      all: answers.length,
      slowestMs: Math.max(...answers.map(({ tookMs }) => tookMs)),
    };
  }

  it('two replicas at once admit exactly as many as the limit says, and both say what is left', async () => {
    const org = newOrganization();
    const { id, key } = await one.issueKey(org, { rateLimit: { limit: 60, windowSeconds: 600 } });
    expect(await hammer(key, 80)).toMatchObject({ good: 60, limited: 100 });
    const change = { clerkOrgId: org, rateLimit: { limit: 70, windowSeconds: 600 } };
    await one.asService('PATCH', `/internal/api-keys/${id}`, change);
    const left = async (service: TestService) => (await service.asHolder(key, '/validate')).headers.get('ratelimit');
    expect(await left(one)).toMatch(/^"default";r=9;/);
    await expect.poll(() => left(two), { interval: 5 }).toMatch(/^"default";r=[0-8];/);
  });

  it('a default of the organisation is one for each key, on both replicas', async () => {
    const org = newOrganization();
    const path = `/internal/organizations/${org}/rate-limit`;
    const { key: first } = await one.issueKey(org);
    const { key: second } = await one.issueKey(org);
    for (const key of [first, second]) expect((await two.asHolder(key, '/validate')).status).toBe(200);
    await one.asService('PUT', path, { rateLimit: { limit: 10, windowSeconds: 600 } });
    await expect
      .poll(async () => (await two.asHolder(first, '/validate')).headers.get('ratelimit'), { interval: 5 })
      .not.toBeNull();
    expect(await hammer(second, 20)).toMatchObject({ good: 10, limited: 30 });
  });

  it.each([
    ['stalled with its connections open', () => proxy.stall()],
    ['cut off', () => proxy.cut()],
  ])('a replica whose Redis is %s counts alone, says so once, and keeps nobody waiting', async (_what, trouble) => {
    const { key } = await one.issueKey(newOrganization(), { rateLimit: { limit: 30, windowSeconds: 600 } });
    const before = lines(one).length;
    expect((await one.asHolder(key, '/validate')).headers.get('ratelimit')).toMatch(/;r=29;/);
    trouble();
    const { good, limited, all, slowestMs } = await hammer(key, 50);
    // The replica that lost it begins anew; the other one goes on.
    expect({ good, limited, all }).toEqual({ good: 30 + 29, limited: 100 - 59, all: 100 });
    expect(slowestMs).toBeLessThan(1_000);
    expect({ one: await redisUp(one), two: await redisUp(two) }).toEqual({ one: 0, two: 1 });
    const beganMs = performance.now();
    for (let n = 0; n < 20; n += 1) expect((await one.asHolder(key, '/validate')).status).toBe(429);
    expect((performance.now() - beganMs) / 20).toBeLessThan(45);
    expect(lines(one).slice(before)).toEqual([LOST]);
    proxy.restore();
    await backAgain(one);
    expect(lines(one).slice(before)).toEqual([LOST, FOUND]);
    expect((await one.asHolder(key, '/validate')).status).toBe(429);
  });

  it('kill -9 of Redis under load fails no validation, and it is used again when it is there', async () => {
    const { key } = await one.issueKey(newOrganization(), { rateLimit: { limit: 1_000_000, windowSeconds: 60 } });
    const statuses = new Map<number, number>();
    let slowestMs = 0;
    let isOver = false;
    const load = [one, two, one, two].map(async (service) => {
      while (!isOver) {
        const beganMs = performance.now();
        const { status } = await service.asHolder(key, '/validate');
        slowestMs = Math.max(slowestMs, performance.now() - beganMs);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    await sleep(200);
    await redis.kill();
    await expect.poll(async () => [await redisUp(one), await redisUp(two)]).toEqual([0, 0]);
    await sleep(300);
    await redis.startAgain();
    await Promise.all([backAgain(one), backAgain(two)]);
    await sleep(200);
    isOver = true;
    await Promise.all(load);
    expect([...statuses.keys()]).toEqual([200]);
    expect(slowestMs).toBeLessThan(1_000);
  });

  it('a start without it goes on, counts alone, and finds it later', async () => {
    await redis.kill();
    const late = await startService({ environment: { REDIS_URL: redis.url, METRICS_PORT: '0' } });
    const { key } = await late.issueKey(newOrganization(), { rateLimit: { limit: 1, windowSeconds: 600 } });
    const ask = async () => (await late.asHolder(key, '/validate')).status;
    expect([await ask(), await ask()]).toEqual([200, 429]);
    expect(await redisUp(late)).toBe(0);
    await redis.startAgain();
    await backAgain(late);
    expect([await ask(), await ask()]).toEqual([200, 429]);
    await late.stop();
    await Promise.all([backAgain(one), backAgain(two)]);
  });

  it('says nothing of the URL, whatever happened', () => {
    for (const service of [one, two]) {
      const log = JSON.stringify(service.logLines);
      expect(log).not.toContain('not-a-real-password');
      expect(log).not.toContain('redis://');
    }
  });

  it('stores ids of keys in Redis, and nothing of the keys', async () => {
    const { id, key } = await one.issueKey(newOrganization(), { rateLimit: { limit: 5, windowSeconds: 60 } });
    await one.asHolder(key, '/validate');
    const names = (await redis.command('KEYS', '*')) as string[];
    expect(names).toContain(`key-service:rate-limit:${id}:60`);
    for (const name of names) expect(name).toMatch(/^key-service:rate-limit:([0-9a-f-]{36}|probe):\d+$/);
  });
});

describe('Without REDIS_URL', () => {
  it('there is no metric of it, and each replica counts alone', async () => {
    const one = await startService({ environment: { METRICS_PORT: '0' } });
    const two = await startService({ beside: one });
    const { key } = await one.issueKey(newOrganization(), { rateLimit: { limit: 1, windowSeconds: 60 } });
    const ask = async (service: TestService) => (await service.asHolder(key, '/validate')).status;
    expect([await ask(one), await ask(two), await ask(one), await ask(two)]).toEqual([200, 200, 429, 429]);
    expect((await metricsOf(one)).text).not.toContain('key_service_redis');
    await two.stop();
    await one.stop();
  });
});
