import { Flushes } from './flushes.ts';

/** Writes when keys were last used, in ms since 1970; an earlier instant never replaces a later one. */
export type WriteLastUsed = (uses: { id: string; atMs: number }[]) => Promise<void>;

/** One statement stays small enough for its time limit, and neither process is busy with it for long. */
const LARGEST_BATCH = 1_000;

/**
 * When each key was last used, gathered in memory and written for all keys at once, so that using a key costs no
 * write. What a killed process had gathered since its last flush is lost.
 */
export class LastUsed {
  readonly #write: WriteLastUsed;
  readonly #onFailure: (error: unknown) => void;
  readonly #flushes = new Flushes(() => this.#writeBatches());
  /** Milliseconds since 1970, for each key. */
  #pending = new Map<string, number>();

  constructor(write: WriteLastUsed, onFailure: (error: unknown) => void) {
    this.#write = write;
    this.#onFailure = onFailure;
  }

  record(id: string, atMs: number): void {
    const known = this.#pending.get(id);
    if (known === undefined || known < atMs) this.#pending.set(id, atMs);
  }

  start(intervalMs: number): void {
    this.#flushes.start(intervalMs);
  }

  /** Writes everything recorded so far, after any flush that is still running. Never rejects; what failed is kept. */
  flush(): Promise<void> {
    return this.#flushes.flush();
  }

  /** Writes what there is, for at most so long. */
  stop(limitMs: number): Promise<void> {
    return this.#flushes.stop(limitMs);
  }

  async #writeBatches(): Promise<void> {
    const uses = [...this.#pending].map(([id, atMs]) => ({ id, atMs }));
    this.#pending = new Map();
    for (let start = 0; start < uses.length; start += LARGEST_BATCH) {
      const batch = uses.slice(start, start + LARGEST_BATCH);
      try {
        await this.#write(batch);
      } catch (error) {
        for (const { id, atMs } of uses.slice(start)) this.record(id, atMs);
        this.#onFailure(error);
        return;
      }
    }
  }
}
