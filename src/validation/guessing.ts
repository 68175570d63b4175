import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import { networkOf } from '../ip-address.ts';

/** Some 30 MB of them; who has more networks than that to guess from is not stopped by counting them. */
const NETWORKS_HELD = 50_000;

export interface GuessingOptions {
  /** Keys that nobody issued, from one address, in a window. */
  limit: number;
  windowSeconds: number;
  onRefused: () => void;
  networksHeld?: number;
}

/** Counts the keys that a client tries and nobody issued, by the address that is known to be its own. On this replica alone. */
export class Guessing {
  readonly #limiter: RateLimiterMemory;
  /** Those that have failed lately, and until when they are limited, in ms since 1970; 0: they are not. */
  readonly #limitedUntil: LRUCache<string, number>;
  readonly #onRefused: () => void;

  constructor({ limit, windowSeconds, onRefused, networksHeld = NETWORKS_HELD }: GuessingOptions) {
    const limiter = new RateLimiterMemory({ points: limit, duration: windowSeconds });
    this.#limiter = limiter;
    this.#limitedUntil = new LRUCache({
      max: networksHeld,
      dispose(_until, network, reason) {
        if (reason === 'evict') void limiter.delete(network);
      },
    });
    this.#onRefused = onRefused;
  }

  /** Whether the next key of this address that nobody issued would be refused. */
  isLimited(address: string): boolean {
    return (this.#limitedUntil.get(networkOf(address)) ?? 0) > Date.now();
  }

  /** Counts a key that nobody issued. @returns null, or in how many seconds another is let through when this one was too many */
  failed(address: string): Promise<number | null> {
    const network = networkOf(address);
    if (!this.#limitedUntil.has(network)) this.#limitedUntil.set(network, 0);
    // In memory it cannot fail: whatever it rejects with says that the limit is reached.
    return this.#limiter.consume(network).then(
      () => null,
      ({ msBeforeNext }: RateLimiterRes) => {
        this.#limitedUntil.set(network, Date.now() + msBeforeNext);
        this.#onRefused();
        return Math.max(1, Math.ceil(msBeforeNext / 1_000));
      },
    );
  }
}
