import { apiKey } from '@better-auth/api-key';
import type { BetterAuthOptions } from 'better-auth';

interface Settings {
  rateLimiting: boolean;
  /** Hands out the keys that are to be created, instead of random ones. */
  nextKey?: () => string;
  /** Keeps the keys in memory, in the manner that better-auth keeps them in Redis. */
  memory?: Map<string, string>;
}

const DAY_MS = 86_400_000;
/** Its default is ten requests per key and day. */
const REQUESTS_A_DAY = 2_000_000_000;

/** better-auth with its API key plugin and nothing else switched on. */
export function betterAuthOptions({ rateLimiting, nextKey, memory }: Settings) {
  return {
    baseURL: 'http://127.0.0.1',
    secret: 'a-secret-of-nobody-for-the-benchmark',
    logger: { disabled: true },
    telemetry: { enabled: false },
    plugins: [
      apiKey({
        rateLimit: { enabled: rateLimiting, timeWindow: DAY_MS, maxRequests: REQUESTS_A_DAY },
        ...(nextKey && { customKeyGenerator: nextKey }),
        ...(memory && { storage: 'secondary-storage' as const, customStorage: storageIn(memory) }),
      }),
    ],
  } satisfies BetterAuthOptions;
}

function storageIn(memory: Map<string, string>) {
  const take = (key: string) => {
    const value = memory.get(key) ?? null;
    memory.delete(key);
    return value;
  };
  return {
    get: (key: string) => memory.get(key) ?? null,
    getAndDelete: take,
    set: (key: string, value: string) => void memory.set(key, value),
    delete: (key: string) => void memory.delete(key),
    increment(key: string) {
      const count = Number(memory.get(key) ?? 0) + 1;
      memory.set(key, String(count));
      return count;
    },
  };
}
