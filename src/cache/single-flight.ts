/**
 * One read for a key at a time, however many ask for it. Who may not be answered by a read that began before, waits for
 * the next, and shares that one with everyone who waits too.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();
  readonly #next = new Map<string, Promise<T>>();

  /** @param mayShare whether a read that is already under way may answer */
  run(key: string, mayShare: boolean, read: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running === undefined) return this.#begin(key, read);
    if (mayShare) return running;
    let next = this.#next.get(key);
    if (next === undefined) {
      const begin = () => {
        this.#next.delete(key);
        return this.#begin(key, read);
      };
      next = running.then(begin, begin);
      this.#next.set(key, next);
    }
    return next;
  }

  /** From now on nobody is answered by the read that is under way, but those who asked for it. */
  detach(key: string): void {
    this.#running.delete(key);
  }

  detachAll(): void {
    this.#running.clear();
  }

  #begin(key: string, read: () => Promise<T>): Promise<T> {
    const running = read().finally(() => {
      if (this.#running.get(key) === running) this.#running.delete(key);
    });
    this.#running.set(key, running);
    return running;
  }
}
