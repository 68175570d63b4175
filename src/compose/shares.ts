import type { Config } from '../config/config.ts';

/** Of what caches may use. There are far more requests with an API key than reveals, and few services. */
const CACHE_SHARES = { apiKeys: 0.75, providerKeys: 0.23, serviceKeys: 0.02 };
/**
 * Of CACHE_MAX_BYTES, what may be in use at once: of what was evicted V8 lets about as much pile up before it collects it.
 * The rest is what the process would grow by beyond the bound; `npm run bench -- growth` measures it.
 */
const IN_USE_SHARE = 0.5;

/** Of the pool, so that look-ups and the counting of uses never keep probes and changes from a connection. */
const CONNECTION_SHARES = { apiKeys: 0.4, uses: 0.2, providerKeys: 0.2, serviceKeys: 0.1 };

/** What one kind of keys may take of the process's memory and of its connections. */
export interface Share {
  cacheMaxBytes: number;
  lookUpsAtOnce: number;
}

export interface Shares {
  apiKeys: Share & { usesAtOnce: number };
  providerKeys: Share;
  serviceKeys: Share;
}

export function sharesOf({ cache, database }: Pick<Config, 'cache' | 'database'>): Shares {
  const connections = (share: number) => Math.max(1, Math.floor(database.poolMax * share));
  const shareOf = (what: keyof typeof CACHE_SHARES): Share => ({
    cacheMaxBytes: Math.floor(cache.maxBytes * IN_USE_SHARE * CACHE_SHARES[what]),
    lookUpsAtOnce: connections(CONNECTION_SHARES[what]),
  });
  return {
    apiKeys: { ...shareOf('apiKeys'), usesAtOnce: connections(CONNECTION_SHARES.uses) },
    providerKeys: shareOf('providerKeys'),
    serviceKeys: shareOf('serviceKeys'),
  };
}
