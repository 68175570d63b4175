import { uuidv7 } from 'uuidv7';
import { Flushes } from './flushes.ts';
import { type Count, HOUR_MS, KeyUse, type Outcome } from './key-use.ts';

/** What is written at once: all of it or nothing, and never a second time. */
export interface UsageBatch {
  /** Who writes it: one process, for as long as it runs. */
  writer: string;
  /** From 1; the batches of a writer are written in their order. */
  number: number;
  counts: Count[];
  /** When keys were last valid, in ms since 1970. */
  lastUsed: { id: string; atMs: number }[];
}

/** Writes a batch, or nothing if it was written before. Of one that rejects nobody knows whether it was written. */
export type WriteUsage = (batch: UsageBatch) => Promise<void>;

/** How much is kept for want of a database: what is held (keys, each once for every hour), and uses that were not counted. */
export interface Unwritten {
  held: number;
  uncounted: number;
}

interface Options {
  write: WriteUsage;
  onFailure: (error: unknown, unwritten: Unwritten) => void;
  /** Told of a use that is not counted, because too much is held already. */
  onUncounted: () => void;
}

/** One statement stays small enough for its time limit, and neither process is busy with it for long. */
const LARGEST_BATCH = 1_000;
/** Keys in an hour: some 50 MiB. Beyond it only those that are held go on being counted. */
const MOST_HELD = 200_000;
/** A flush begins before its time, so that many keys in a long interval stay below that. */
const FLUSHED_AT = 50_000;

/**
 * How often each API key was used, by hour and outcome, and when last: gathered in memory and written for all keys at once,
 * so that using a key costs no write. What a killed process had gathered since its last flush is lost.
 *
 * A batch that failed may have been written all the same, if the connection was lost at its commit. It stays as it is and is
 * written again under its number, which the database knows if it was.
 */
export class KeyUsage {
  readonly #options: Options;
  readonly #writer = uuidv7();
  readonly #flushes = new Flushes(() => this.#writeBatches());
  readonly #uses = new Map<string, KeyUse>();
  /** In `#uses`: keys, each once for every hour. */
  #held = 0;
  #uncounted = 0;
  /** Being written, or to be written again. */
  #batch: UsageBatch | null = null;
  #lastNumber = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @param atMs since 1970 */
  record({ id, organizationId }: { id: string; organizationId: string }, outcome: Outcome, atMs: number): void {
    const hour = Math.floor(atMs / HOUR_MS);
    const use = this.#uses.get(id);
    if (use?.holds(hour)) use.count(hour, outcome, atMs);
    else this.#begin(id, organizationId, hour)?.count(hour, outcome, atMs);
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

  /** Makes a place for a key in an hour. Undefined: there is none. */
  #begin(id: string, organizationId: string, hour: number): KeyUse | undefined {
    if (this.#held >= MOST_HELD) {
      this.#uncounted += 1;
      this.#options.onUncounted();
      return undefined;
    }
    this.#held += 1;
    if (this.#held === FLUSHED_AT && !this.#flushes.running) void this.flush();
    const known = this.#uses.get(id);
    known?.hold(hour);
    if (known !== undefined) return known;
    const use = new KeyUse(organizationId, hour);
    this.#uses.set(id, use);
    return use;
  }

  async #writeBatches(): Promise<void> {
    // What is recorded while this runs is for the next flush.
    let keysLeft = this.#uses.size;
    while (this.#batch !== null || keysLeft > 0) {
      if (this.#batch === null) {
        const held = this.#uses.size;
        this.#batch = this.#take(keysLeft);
        keysLeft -= held - this.#uses.size;
      }
      try {
        await this.#options.write(this.#batch);
      } catch (error) {
        this.#options.onFailure(error, { held: this.#held, uncounted: this.#uncounted });
        this.#uncounted = 0;
        return;
      }
      this.#batch = null;
    }
  }

  /** Takes so many keys at most, those first that have waited for longest, out of what is held. */
  #take(mostKeys: number): UsageBatch {
    this.#lastNumber += 1;
    const batch: UsageBatch = { writer: this.#writer, number: this.#lastNumber, counts: [], lastUsed: [] };
    let keysLeft = mostKeys;
    for (const [id, use] of this.#uses) {
      this.#uses.delete(id);
      this.#held -= use.hours;
      batch.counts.push(...use.counts(id));
      if (use.lastValidMs > 0) batch.lastUsed.push({ id, atMs: use.lastValidMs });
      keysLeft -= 1;
      if (keysLeft === 0 || batch.counts.length >= LARGEST_BATCH) break;
    }
    return batch;
  }
}
