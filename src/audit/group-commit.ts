import { setImmediate as nextTurn } from 'node:timers/promises';
import { deadlineIn } from '../time-limit.ts';

/**
 * Those whose time is over are looked for so often at most, among all who wait: with thousands of them, each time that one
 * is over would be half of a core, just when the database does not answer.
 */
const GIVE_UP_EACH_MS = 10;

export interface GroupCommitOptions<T> {
  /**
   * Writes all of them, and they are durable when it resolves.
   *
   * @returns those of them that could not be written and kept none of the others from it
   */
  commit: (items: T[]) => Promise<ReadonlySet<T>>;
  /** In one commit at most. */
  largest: number;
  /** In one commit, where so many wait: fewer are not worth one of their own. */
  fewest: number;
  /** Items that wait, those under way not counted. */
  waiting: number;
  /** What the writer of an item is told that is not, or may not be, written. */
  failure: (reason: 'full' | 'late' | 'failed') => Error;
}

interface Waiting<T> {
  item: T;
  written: () => void;
  failed: (error: Error) => void;
  isOver: () => boolean;
  /** When it is given up, by `performance.now()`. */
  endMs: number;
  /** Its writer has been told. */
  settled: boolean;
}

/** What has become of a batch. */
type Fate<T> = { refused: ReadonlySet<T> } | 'failed';

/**
 * Gathers what is to be written while a commit is under way, and writes it with the next: however many ask, the disk is asked
 * seldom. One commit at a time.
 *
 * A commit takes half of those who wait or have just been written. Who is answered asks again, and with all of them in one
 * commit there is nobody to answer while the database works, and nothing to write while they are answered. Nobody is left
 * for a third one: what waits is written with the next two, unless it is more than they may take.
 */
export class GroupCommit<T> {
  readonly #options: GroupCommitOptions<T>;
  #queue: Waiting<T>[] = [];
  #underWay: Waiting<T>[] = [];
  #busy = false;
  #timer: NodeJS.Timeout | undefined;
  #timerEndsMs = Number.POSITIVE_INFINITY;

  constructor(options: GroupCommitOptions<T>) {
    this.#options = options;
  }

  /**
   * Resolves when the item is durable. After a failure it may be written all the same, if that was too late.
   *
   * @throws what `failure` makes: at once when too many wait already or no time is left, else within `limitMs` and 10 ms
   */
  write(item: T, limitMs: number): Promise<void> {
    const { waiting, failure } = this.#options;
    if (limitMs <= 0) return Promise.reject(failure('late'));
    if (this.#queue.length >= waiting) return Promise.reject(failure('full'));
    return new Promise<void>((written, failed) => {
      const endMs = performance.now() + limitMs;
      this.#queue.push({ item, written, failed, isOver: deadlineIn(limitMs), endMs, settled: false });
      this.#wakeAt(endMs);
      if (!this.#busy) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#busy = true;
    // Whoever asks in the same turn of the event loop is written with it.
    await nextTurn();
    let committing = this.#commitNext();
    while (committing !== null) {
      const { batch, fate } = await committing;
      // The next is on its way before those of this one are told, so that the database works while they are answered.
      committing = this.#commitNext();
      if (committing !== null) await nextTurn();
      this.#tell(batch, fate);
    }
    this.#busy = false;
  }

  /** Begins to write what waits; null when nothing does. Until then what is under way are those who have just been written. */
  #commitNext(): Promise<{ batch: Waiting<T>[]; fate: Fate<T> }> | null {
    const { largest, fewest } = this.#options;
    const half = Math.ceil((this.#queue.length + this.#underWay.length) / 2);
    const batch = this.#queue.splice(0, Math.min(largest, Math.max(fewest, half)));
    this.#underWay = batch;
    if (batch.length === 0) return null;
    return this.#commit(batch);
  }

  /** Never rejects: a commit that throws where it should reject must not end the writing for good. */
  async #commit(batch: Waiting<T>[]): Promise<{ batch: Waiting<T>[]; fate: Fate<T> }> {
    try {
      return { batch, fate: { refused: await this.#options.commit(batch.map(({ item }) => item)) } };
    } catch {
      return { batch, fate: 'failed' };
    }
  }

  #tell(batch: readonly Waiting<T>[], fate: Fate<T>): void {
    const { failure } = this.#options;
    for (const entry of batch) {
      if (entry.settled) continue;
      entry.settled = true;
      // Late it is also for a process that was stopped meanwhile, and finds the result before its timer has fired.
      if (entry.isOver()) entry.failed(failure('late'));
      else if (fate === 'failed' || fate.refused.has(entry.item)) entry.failed(failure('failed'));
      else entry.written();
    }
  }

  /** One timer for all, since nearly all are written long before: it is set anew when it has fired, and seldom else. */
  #wakeAt(endMs: number): void {
    if (endMs >= this.#timerEndsMs) return;
    clearTimeout(this.#timer);
    this.#timerEndsMs = endMs;
    // A timer may be early by less than a millisecond, and nobody's time would be over.
    this.#timer = setTimeout(() => this.#giveUpLate(), Math.ceil(endMs - performance.now()) + 1);
    this.#timer.unref();
  }

  #giveUpLate(): void {
    this.#timerEndsMs = Number.POSITIVE_INFINITY;
    let nextEndMs = Number.POSITIVE_INFINITY;
    for (const entry of [...this.#underWay, ...this.#queue]) {
      if (entry.settled) continue;
      if (entry.isOver()) {
        entry.settled = true;
        entry.failed(this.#options.failure('late'));
      } else {
        nextEndMs = Math.min(nextEndMs, entry.endMs);
      }
    }
    this.#queue = this.#queue.filter(({ settled }) => !settled);
    if (nextEndMs < Number.POSITIVE_INFINITY) this.#wakeAt(Math.max(nextEndMs, performance.now() + GIVE_UP_EACH_MS));
  }
}
