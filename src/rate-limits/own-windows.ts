import { LRUCache } from 'lru-cache';
import type { Quota, RateLimit } from './rate-limit.ts';
import { SlidingWindow } from './sliding-window.ts';

/**
 * Keys that are counted at once, some 700 bytes each. Of more than so many the one that was used longest ago is forgotten,
 * and begins anew: it was used less than the others.
 */
export const KEYS_COUNTED = 50_000;

/** Counts in this process alone, and lost with it. Never a promise. */
export class OwnWindows {
  /** By the id of the key, which is no secret. Made with the first: it takes a megabyte when it is empty. */
  #windows: LRUCache<string, SlidingWindow> | null = null;

  take(keyId: string, rateLimit: RateLimit): Quota {
    this.#windows ??= new LRUCache({ max: KEYS_COUNTED });
    let window = this.#windows.get(keyId);
    // Another limit in the same window goes on with the count; parts of another length cannot.
    if (window === undefined || window.windowSeconds !== rateLimit.windowSeconds) {
      window = new SlidingWindow(rateLimit.windowSeconds);
      this.#windows.set(keyId, window);
    }
    // Not the wall clock, which somebody may set.
    return window.take(rateLimit, performance.now());
  }
}
