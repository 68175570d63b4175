import { settledWithin } from '../time-limit.ts';

/** Writes what was gathered in memory again and again, and at the end; never two at once. */
export class Flushes {
  readonly #write: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<void> = Promise.resolve();
  #running = false;

  /** @param write never rejects */
  constructor(write: () => Promise<void>) {
    this.#write = write;
  }

  get running(): boolean {
    return this.#running;
  }

  start(intervalMs: number): void {
    this.#timer = setInterval(() => {
      if (!this.#running) void this.flush();
    }, intervalMs);
    this.#timer.unref();
  }

  /** Writes everything gathered so far, after any flush that is still running. Never rejects. */
  flush(): Promise<void> {
    this.#last = this.#last.then(async () => {
      this.#running = true;
      await this.#write();
      this.#running = false;
    });
    return this.#last;
  }

  /** Writes what there is, for at most so long. */
  async stop(limitMs: number): Promise<void> {
    clearInterval(this.#timer);
    await settledWithin(limitMs, this.flush());
  }
}
