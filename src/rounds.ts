/** Work that is done again and again, one round at a time, until it is stopped. */
export class Rounds {
  readonly #round: (isWanted: () => boolean) => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #stopped = false;

  /** @param round never rejects, and ends soon when it is not wanted any more: a stop does not wait for it */
  constructor(round: (isWanted: () => boolean) => Promise<void>) {
    this.#round = round;
  }

  start(intervalMs: number): void {
    this.#timer = setInterval(() => void this.#run(), intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    await this.#round(() => !this.#stopped);
    this.#running = false;
  }
}
