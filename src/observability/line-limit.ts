import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';

/** Lets so many lines, or reports, of a kind be written in a second, and tells afterwards how many were left out. */
export class LineLimit<Kind extends string> {
  readonly #limiter: RateLimiterMemory;
  readonly #leftOut = new Map<Kind, number>();
  readonly #onLeftOut: (kind: Kind, lines: number) => void;

  /** @param onLeftOut called at the end of a second in which lines were left out */
  constructor(perSecond: number, onLeftOut: (kind: Kind, lines: number) => void) {
    this.#limiter = new RateLimiterMemory({ points: perSecond, duration: 1 });
    this.#onLeftOut = onLeftOut;
  }

  /** Calls `write` before anything else happens, or never. */
  offer(kind: Kind, write: () => void): void {
    // In memory it cannot fail: whatever it rejects with says that the limit is reached.
    this.#limiter.consume(kind).then(write, ({ msBeforeNext }: RateLimiterRes) => this.#leaveOut(kind, msBeforeNext));
  }

  #leaveOut(kind: Kind, msBeforeNext: number): void {
    const before = this.#leftOut.get(kind) ?? 0;
    this.#leftOut.set(kind, before + 1);
    if (before > 0) return;
    setTimeout(() => {
      const lines = this.#leftOut.get(kind) ?? 0;
      this.#leftOut.delete(kind);
      this.#onLeftOut(kind, lines);
    }, msBeforeNext).unref();
  }
}
