import { expect } from 'vitest';
import type { Client } from './client.ts';
import { metricsOf } from './metrics.ts';

/** A replica that was started with METRICS_PORT. */
export type Replica = Client & { metricsPort: number | null };

export interface Memory {
  leaseHeld: boolean;
  hits: number;
  misses: number;
  entries: number;
}

/** How a replica's memory of API keys stands. */
export async function memoryOf(replica: Pick<Replica, 'metricsPort'>): Promise<Memory> {
  const { value } = await metricsOf(replica);
  const ofKeys = (name: string) => value(`key_service_cache_${name}`, { cache: 'api-keys' }) ?? 0;
  return {
    leaseHeld: value('key_service_change_feed_lease_held') === 1,
    hits: ofKeys('hits_total'),
    misses: ofKeys('misses_total'),
    entries: ofKeys('entries'),
  };
}

/** Asks for each key until all of them are answered from memory, in one go. */
export async function warm(replica: Replica, ...keys: string[]): Promise<void> {
  await expect.poll(() => answersFromMemory(replica, keys), { timeout: 15_000 }).toBe(true);
}

/** Whether all of these keys are good and answered from memory, now. */
export async function answersFromMemory(replica: Replica, keys: readonly string[]): Promise<boolean> {
  const before = await memoryOf(replica);
  const answers = await Promise.all(keys.map((key) => replica.asHolder(key, '/validate')));
  const after = await memoryOf(replica);
  return after.leaseHeld && answers.every(({ status }) => status === 200) && after.hits - before.hits >= keys.length;
}

/** It is ready, its feed is followed, and these keys are answered from memory: it came back by itself. */
export async function isBackToNormal(replica: Replica, keys: readonly string[]): Promise<boolean> {
  const { status, body } = await replica.request('GET', '/health/ready');
  return status === 200 && body.checks.changeFeed === 'ok' && (await answersFromMemory(replica, keys));
}
