import { OwnWindows } from './own-windows.ts';
import type { Quota, RateLimit } from './rate-limit.ts';
import type { SharedWindows } from './shared-windows.ts';

/** Counts the requests of API keys against their limits: with the other replicas where they share a Redis, else alone. */
export class RateLimits {
  readonly #own = new OwnWindows();
  readonly #shared: SharedWindows | null;

  constructor(shared: SharedWindows | null) {
    this.#shared = shared;
  }

  /**
   * Counts a request of a key if its limit allows it. Never fails; a promise only where Redis is asked, which takes a
   * quarter of a second at most. What it does not answer is counted alone, anew.
   */
  take(keyId: string, rateLimit: RateLimit): Quota | Promise<Quota> {
    const shared = this.#shared;
    if (shared === null || !shared.isThere) return this.#own.take(keyId, rateLimit);
    return shared.take(keyId, rateLimit).catch(() => this.#own.take(keyId, rateLimit));
  }

  /** Resolves within two seconds, with Redis or without. */
  async start(): Promise<void> {
    await this.#shared?.start();
  }

  stop(): void {
    this.#shared?.close();
  }
}
