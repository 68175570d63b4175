import type { Quota, RateLimit } from './rate-limit.ts';

/**
 * A window is counted in so many parts. A request counts until its whole part has left the window: for as long as the
 * window, and up to a fiftieth longer. So no window ever has more than the limit, wherever it begins.
 */
export const PARTS = 50;
/** With the part that the window's far end is in. */
const COUNTED = PARTS + 1;

/** In whole milliseconds: 1,000 can be divided by 50. */
export const partMsOf = (windowSeconds: number) => (windowSeconds * 1000) / PARTS;

/** Counts the requests of one key. */
export class SlidingWindow {
  readonly windowSeconds: number;
  readonly #partMs: number;
  /** By the number of the part, modulo their count. */
  readonly #counts: number[] = new Array(COUNTED).fill(0);
  #total = 0;
  /** Of the parts that are counted, the first that may have any. */
  #oldest = 0;
  #newest = 0;

  constructor(windowSeconds: number) {
    this.windowSeconds = windowSeconds;
    this.#partMs = partMsOf(windowSeconds);
  }

  /** Counts a request if the limit allows it. @param nowMs by a clock that never goes back */
  take(rateLimit: RateLimit, nowMs: number): Quota {
    const { limit } = rateLimit;
    this.#forget(Math.floor(nowMs / this.#partMs));
    const admitted = this.#total < limit;
    if (admitted) {
      const place = this.#newest % COUNTED;
      this.#counts[place] = this.#countAt(place) + 1;
      this.#total += 1;
    }
    // A limit that was lowered may be exceeded by what was admitted before.
    const remaining = Math.max(0, limit - this.#total);
    return { rateLimit, admitted, remaining, waitMs: this.#wait(Math.max(1, this.#total - limit + 1), nowMs) };
  }

  #forget(newest: number): void {
    const first = newest - PARTS;
    for (; this.#oldest < first && this.#total > 0; this.#oldest += 1) {
      const place = this.#oldest % COUNTED;
      this.#total -= this.#countAt(place);
      this.#counts[place] = 0;
    }
    // Nothing is counted any more, so that nothing has to be gone through.
    if (this.#total === 0) this.#oldest = newest;
    this.#newest = newest;
  }

  /** Until so many requests no longer count. */
  #wait(requests: number, nowMs: number): number {
    let part = this.#oldest;
    let left = requests - this.#countAt(part % COUNTED);
    while (left > 0 && part < this.#newest) {
      part += 1;
      left -= this.#countAt(part % COUNTED);
    }
    return (part + COUNTED) * this.#partMs - nowMs;
  }

  #countAt(place: number): number {
    return this.#counts[place] ?? 0;
  }
}
