/** An instant by both clocks, in ms. The monotonic one stands still while a machine is suspended, the wall clock can be set. */
export interface Instant {
  monotonicMs: number;
  wallMs: number;
}

export const systemClock = (): Instant => ({ monotonicMs: performance.now(), wallMs: Date.now() });

/**
 * The right to answer from memory. It lasts for so long after a probe was sent that came back: whatever was committed
 * before the probe is known here by then. Whoever answers from memory asks each time, so that neither a process that stalled
 * nor a machine that was suspended outlives it.
 */
export class Lease {
  readonly durationMs: number;
  readonly #clock: () => Instant;
  #untilMonotonicMs = Number.NEGATIVE_INFINITY;
  #untilWallMs = Number.NEGATIVE_INFINITY;

  constructor(durationMs: number, clock: () => Instant = systemClock) {
    this.durationMs = durationMs;
    this.#clock = clock;
  }

  get held(): boolean {
    const { monotonicMs, wallMs } = this.#clock();
    return monotonicMs < this.#untilMonotonicMs && wallMs < this.#untilWallMs;
  }

  /** A probe that was sent at this instant has come back. */
  renew(sentAt: Instant): void {
    const untilMonotonicMs = sentAt.monotonicMs + this.durationMs;
    // Probes may overtake each other in the pool; the later one counts.
    if (untilMonotonicMs <= this.#untilMonotonicMs) return;
    this.#untilMonotonicMs = untilMonotonicMs;
    this.#untilWallMs = sentAt.wallMs + this.durationMs;
  }

  end(): void {
    this.#untilMonotonicMs = Number.NEGATIVE_INFINITY;
    this.#untilWallMs = Number.NEGATIVE_INFINITY;
  }
}
