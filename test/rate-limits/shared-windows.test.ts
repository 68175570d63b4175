import { setTimeout as sleep } from 'node:timers/promises';
import { uuidv7 } from 'uuidv7';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Quota } from '../../src/rate-limits/rate-limit.ts';
import { SharedWindows } from '../../src/rate-limits/shared-windows.ts';
import { violations } from '../support/rate-limit-model.ts';
import { type Redis, redisMissing, startRedis } from '../support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

if (redisMissing !== undefined) console.warn(`Skipped: ${redisMissing}`);

describe.skipIf(redisMissing !== undefined)('SharedWindows', () => {
  let redis: Redis;
  let proxy: TcpProxy;
  const told: string[] = [];
  const opened: SharedWindows[] = [];
  const open = async (url = redis.url) => {
    const windows = new SharedWindows({ url, onLost: () => told.push('lost'), onFound: () => told.push('found') });
    opened.push(windows);
    await windows.start();
    return windows;
  };
  beforeAll(async () => {
    redis = await startRedis();
    proxy = await startTcpProxy(redis.url);
  });
  afterEach(() => {
    for (const windows of opened.splice(0)) windows.close();
    told.length = 0;
    proxy.restore();
  });
  afterAll(async () => {
    await proxy.close();
    await redis.stop();
  });

  it('counts one key from several processes’ connections at once, and admits exactly the limit', async () => {
    const replicas = await Promise.all([1, 2, 3, 4].map(() => open()));
    const keyId = uuidv7();
    const limited = { limit: 250, windowSeconds: 600 };
    const quotas = await Promise.all(
      replicas.flatMap((replica) => Array.from({ length: 200 }, () => replica.take(keyId, limited))),
    );
    expect(quotas.filter(({ admitted }) => admitted)).toHaveLength(250);
    const left = quotas.filter(({ admitted }) => admitted).map(({ remaining }) => remaining);
    expect(new Set(left).size).toBe(250);
  });

  it('slides, by Redis’ own clock', async () => {
    const windows = await open();
    const keyId = uuidv7();
    const limited = { limit: 12, windowSeconds: 1 };
    const judged: { atMs: number; quota: Quota }[] = [];
    const endMs = performance.now() + 3_500;
    let burst = 0;
    while (performance.now() < endMs) {
      const beganMs = performance.now();
      const quota = await windows.take(keyId, limited);
      // Somewhere between: when it matters, the tolerance below takes the time of a question for granted.
      judged.push({ atMs: (beganMs + performance.now()) / 2, quota });
      burst += 1;
      await sleep(burst % 7 === 0 ? 90 : 12);
    }
    const admitted = judged.filter(({ quota }) => quota.admitted);
    expect(admitted.length).toBeGreaterThan(30);
    // In every window that begins just after one that was admitted, but for the few ms by which our clock may be off.
    for (const { atMs } of admitted) {
      expect(admitted.filter((other) => other.atMs >= atMs && other.atMs < atMs + 985).length).toBeLessThanOrEqual(12);
    }
    const early = violations(limited, judged).filter((wrong) => wrong.startsWith('refused'));
    expect(early).toEqual([]);
  });

  it('goes on with the count under another limit, and keeps windows apart', async () => {
    const windows = await open();
    const keyId = uuidv7();
    for (let n = 0; n < 3; n += 1) await windows.take(keyId, { limit: 3, windowSeconds: 60 });
    expect(await windows.take(keyId, { limit: 5, windowSeconds: 60 })).toMatchObject({ admitted: true, remaining: 1 });
    const lowered = await windows.take(keyId, { limit: 2, windowSeconds: 60 });
    expect(lowered).toMatchObject({ admitted: false, remaining: 0 });
    expect(lowered.waitMs).toBeGreaterThan(58_000);
    expect(lowered.waitMs).toBeLessThanOrEqual(61_200);
    expect(await windows.take(keyId, { limit: 2, windowSeconds: 30 })).toMatchObject({ admitted: true });
  });

  it('leaves nothing in Redis for longer than it counts', async () => {
    const windows = await open();
    const keyId = uuidv7();
    await windows.take(keyId, { limit: 3, windowSeconds: 60 });
    const names = (await redis.command('KEYS', `*${keyId}*`)) as string[];
    expect(names).toEqual([`key-service:rate-limit:${keyId}:60`]);
    const remainingMs = Number(await redis.command('PTTL', String(names[0])));
    expect(remainingMs).toBeGreaterThan(60_000);
    expect(remainingMs).toBeLessThanOrEqual(61_200);
  });

  it('forgets what was counted before Redis’ clock was set back', async () => {
    const windows = await open();
    const keyId = uuidv7();
    const ahead = Math.floor((Date.now() + 3_600_000) / 1_200);
    await redis.command('HSET', `key-service:rate-limit:${keyId}:60`, String(ahead), '5');
    expect(await windows.take(keyId, { limit: 2, windowSeconds: 60 })).toMatchObject({ admitted: true, remaining: 1 });
  });

  it('goes on after Redis has forgotten its scripts', async () => {
    const windows = await open();
    const keyId = uuidv7();
    await windows.take(keyId, { limit: 5, windowSeconds: 60 });
    await redis.command('SCRIPT', 'FLUSH');
    expect(await windows.take(keyId, { limit: 5, windowSeconds: 60 })).toMatchObject({ remaining: 3 });
    expect(told).toEqual(['found']);
  });

  it.each([
    ['is stalled with its connections open', () => proxy.stall()],
    ['takes too long', () => proxy.delay(120)],
    ['is cut off', () => proxy.cut()],
  ])('gives up soon, once, when Redis %s, and finds it again', async (_what, trouble) => {
    const windows = await open(proxy.through(redis.url));
    const keyId = uuidv7();
    const limited = { limit: 100, windowSeconds: 60 };
    await windows.take(keyId, limited);
    trouble();
    const began = performance.now();
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => windows.take(keyId, limited)));
    expect(performance.now() - began).toBeLessThan(500);
    expect(new Set(asked.map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(windows.isThere).toBe(false);
    await sleep(1_500);
    expect(told).toEqual(['found', 'lost']);
    proxy.restore();
    await expect.poll(() => windows.isThere, { timeout: 5_000 }).toBe(true);
    expect(told).toEqual(['found', 'lost', 'found']);
    expect((await windows.take(keyId, limited)).admitted).toBe(true);
  });

  it('does not count on one that will not write, and says so once', async () => {
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '1');
    const windows = await open();
    expect(windows.isThere).toBe(false);
    await sleep(1_200);
    expect(told).toEqual(['lost']);
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '0');
    await expect.poll(() => windows.isThere, { timeout: 5_000 }).toBe(true);
  });

  it('that is closed while it looks stays closed', async () => {
    proxy.stall();
    const windows = new SharedWindows({
      url: proxy.through(redis.url),
      onLost: () => told.push('lost'),
      onFound: () => told.push('found'),
    });
    const starting = windows.start();
    windows.close();
    await starting;
    proxy.restore();
    await sleep(1_300);
    expect({ told, isThere: windows.isThere }).toEqual({ told: [], isThere: false });
  });
});
