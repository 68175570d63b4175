import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { takeTurn } from '../database/turn.ts';
import { Rounds } from '../rounds.ts';

/** One kind of what expires. The room whose rows they are says how they are removed. */
export interface Sweep {
  /** What is removed, in the plural, as the log and the metrics call it. */
  name: string;
  /**
   * Removes what has expired, and no more than so many rows; waits for no row that somebody else has locked.
   *
   * @returns how many it has removed; fewer than the limit: there are no more
   */
  sweep(queries: Queries, limit: number): Promise<number>;
}

interface JanitorOptions {
  database: Database;
  sweeps: readonly Sweep[];
  /** Told of every batch that removed something. */
  onBatch: (name: string, rows: number) => void;
  /** Told at the end of what a round has removed of one kind, if anything. */
  onSwept: (name: string, rows: number) => void;
  /** Told of one kind that could not be swept. It is tried again in the next round; the other kinds are swept now. */
  onFailure: (name: string, error: unknown) => void;
}

/** One transaction is over in milliseconds, and keeps nobody waiting. */
const ROWS_AT_ONCE = 500;
/** Between two batches, so that a great deal to sweep is no burden to the database. */
const PAUSE_MS = 20;

/** Removes what has expired, in small batches, on one replica at a time. */
export class Janitor {
  readonly #options: JanitorOptions;
  readonly #rounds: Rounds;

  constructor(options: JanitorOptions) {
    this.#options = options;
    this.#rounds = new Rounds((isWanted) => this.#round(isWanted));
  }

  start(intervalMs: number): void {
    this.#rounds.start(intervalMs);
  }

  stop(): void {
    this.#rounds.stop();
  }

  async #round(isWanted: () => boolean): Promise<void> {
    for (const sweep of this.#options.sweeps) {
      let rows = 0;
      try {
        for await (const removed of this.#batches(sweep, isWanted)) rows += removed;
      } catch (error) {
        if (isWanted()) this.#options.onFailure(sweep.name, error);
      }
      if (rows > 0) this.#options.onSwept(sweep.name, rows);
    }
  }

  /** Each in a transaction and a turn of its own: another replica may take the next. */
  async *#batches({ name, sweep }: Sweep, isWanted: () => boolean): AsyncGenerator<number> {
    while (isWanted()) {
      const removed = await this.#options.database.transaction(async (queries) =>
        (await takeTurn(queries, 'janitor')) ? sweep(queries, ROWS_AT_ONCE) : 0,
      );
      if (removed > 0) this.#options.onBatch(name, removed);
      yield removed;
      if (removed < ROWS_AT_ONCE) return;
      await sleep(PAUSE_MS);
    }
  }
}
