import { Counter, Gauge, type Registry } from 'prom-client';
import type { CacheStatistics } from '../cache/leased-cache.ts';

const TOTALS = {
  hits: 'Answered from memory',
  misses: 'Read from the database: not in memory, or no lease',
  evictions: 'Forgotten because memory was full',
} as const;
const LEVELS = {
  entries: 'Remembered now',
  bytes: 'Memory that what was found takes, as it is counted; at most half of CACHE_MAX_BYTES',
} as const;

/** Every cache's figures, as `key_service_cache_…{cache="…"}`, read when the metrics are asked for. */
export class CacheMetrics {
  readonly #caches = new Map<string, () => CacheStatistics>();

  constructor(registry: Registry) {
    const caches = this.#caches;
    for (const name of Object.keys(TOTALS) as (keyof typeof TOTALS)[]) {
      new Counter({
        name: `key_service_cache_${name}_total`,
        help: TOTALS[name],
        labelNames: ['cache'] as const,
        registers: [registry],
        collect() {
          this.reset();
          for (const [cache, statistics] of caches) this.inc({ cache }, statistics()[name]);
        },
      });
    }
    for (const name of Object.keys(LEVELS) as (keyof typeof LEVELS)[]) {
      new Gauge({
        name: `key_service_cache_${name}`,
        help: LEVELS[name],
        labelNames: ['cache'] as const,
        registers: [registry],
        collect() {
          for (const [cache, statistics] of caches) this.set({ cache }, statistics()[name]);
        },
      });
    }
  }

  watch(cache: string, statistics: () => CacheStatistics): void {
    this.#caches.set(cache, statistics);
  }
}
