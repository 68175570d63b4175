import { setImmediate as nextTurn } from 'node:timers/promises';
import { within } from '../time-limit.ts';

export interface GroupCommitOptions<T> {
  /**
   * Writes all of them in one transaction, and has committed when it resolves.
   *
   * @returns those of them that could not be written and kept none of the others from it
   */
  commit: (items: T[]) => Promise<ReadonlySet<T>>;
  /** In one transaction. */
  largest: number;
  /** Items that wait, those under way not counted. */
  waiting: number;
  /** What the writer of an item is told that is not, or may not be, written. */
  failure: (reason: 'full' | 'late' | 'failed') => Error;
}

interface Waiting<T> {
  item: T;
  written: () => void;
  failed: (error: Error) => void;
  /** Nobody waits for it any more. */
  givenUp: boolean;
}

/**
 * Gathers what is to be written while a commit is under way, and writes all of it with the next: however many ask, the disk
 * is asked once. One commit at a time.
 */
export class GroupCommit<T> {
  readonly #options: GroupCommitOptions<T>;
  #queue: Waiting<T>[] = [];
  #busy = false;

  constructor(options: GroupCommitOptions<T>) {
    this.#options = options;
  }

  /**
   * Resolves when the item is durable. After a failure it may be written all the same, if that was too late.
   *
   * @throws what `failure` makes: at once when too many wait already or no time is left, else within `limitMs`
   */
  write(item: T, limitMs: number): Promise<void> {
    const { waiting, failure } = this.#options;
    if (limitMs <= 0) return Promise.reject(failure('late'));
    if (this.#queue.length >= waiting) return Promise.reject(failure('full'));
    const entry: Waiting<T> = { item, written: () => {}, failed: () => {}, givenUp: false };
    const written = new Promise<void>((resolve, reject) => {
      entry.written = resolve;
      entry.failed = reject;
    });
    this.#queue.push(entry);
    if (!this.#busy) void this.#run();
    return within(limitMs, written, () => {
      entry.givenUp = true;
      return failure('late');
    });
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#queue.length > 0) {
      // Whoever asks in the same turn of the event loop is written with it.
      await nextTurn();
      const batch = this.#queue.splice(0, this.#options.largest).filter(({ givenUp }) => !givenUp);
      if (batch.length > 0) await this.#commit(batch);
    }
    this.#busy = false;
  }

  async #commit(batch: readonly Waiting<T>[]): Promise<void> {
    const { commit, failure } = this.#options;
    try {
      const refused = await commit(batch.map(({ item }) => item));
      for (const { item, written, failed } of batch) {
        if (refused.has(item)) failed(failure('failed'));
        else written();
      }
    } catch {
      for (const { failed } of batch) failed(failure('failed'));
    }
  }
}
