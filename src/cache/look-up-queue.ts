import { databaseUnavailable } from '../database/database-error.ts';
import { ServiceError } from '../errors.ts';

export interface LookUpQueueOptions<K, V> {
  /** Asks the database, and answers in the order of the question. */
  lookUp: (keys: K[]) => Promise<V[]>;
  /** Look-ups at the same time. */
  atOnce: number;
  /** Keys that one look-up asks about. */
  together: number;
  /** Keys that wait for their turn. */
  waiting: number;
  /** How long a key may wait; after that nobody waits for it any more. */
  patienceMs: number;
}

interface Waiting<K, V> {
  key: K;
  deadlineMs: number;
  resolve: (value: V) => void;
  reject: (error: unknown) => void;
}

/**
 * Bounds what is asked of the database at once: a slow one is not drowned by its own caches, and a flood of keys that
 * nobody issued leaves connections for everything else. Keys that have to wait are looked up together: one that comes when
 * there is a turn to be had is looked up at once and alone, and many of them take few look-ups.
 */
export class LookUpQueue<K, V> {
  readonly #options: LookUpQueueOptions<K, V>;
  #waiting: Waiting<K, V>[] = [];
  #running = 0;
  /** Of the look-up that was over last. */
  #failed = false;

  constructor(options: LookUpQueueOptions<K, V>) {
    this.#options = options;
  }

  /**
   * The look-up begins after this was called, so that it sees every change that its caller knows of.
   *
   * @throws ServiceError `overloaded`, at once when too many wait already; `database_unavailable` where that is because
   * look-ups fail; whatever `lookUp` throws
   */
  find(key: K): Promise<V> {
    if (this.#waiting.length >= this.#options.waiting) return Promise.reject(this.#refusal());
    const found = new Promise<V>((resolve, reject) => {
      this.#waiting.push({ key, deadlineMs: performance.now() + this.#options.patienceMs, resolve, reject });
    });
    this.#next();
    return found;
  }

  #next(): void {
    if (this.#running >= this.#options.atOnce) return;
    const turn = this.#takeTurn();
    if (turn.length === 0) return;
    this.#running += 1;
    void this.#lookUp(turn).finally(() => {
      this.#running -= 1;
      this.#next();
    });
  }

  /** Those that have waited longest, without those that nobody waits for any more. */
  #takeTurn(): Waiting<K, V>[] {
    const now = performance.now();
    // All have the same patience, so that who came first is late first.
    const firstInTime = this.#waiting.findIndex(({ deadlineMs }) => deadlineMs > now);
    const late = this.#waiting.splice(0, firstInTime === -1 ? this.#waiting.length : firstInTime);
    for (const { reject } of late) reject(this.#refusal());
    return this.#waiting.splice(0, this.#options.together);
  }

  /** Never rejects. */
  async #lookUp(turn: Waiting<K, V>[]): Promise<void> {
    try {
      const found = await this.#options.lookUp(turn.map(({ key }) => key));
      this.#failed = false;
      turn.forEach(({ resolve }, index) => {
        resolve(found[index] as V);
      });
    } catch (error) {
      this.#failed = true;
      for (const { reject } of turn) reject(error);
    }
  }

  #refusal(): ServiceError {
    return this.#failed ? databaseUnavailable() : overloaded();
  }
}

function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'Too many keys are being looked up at the moment. Try again shortly.');
}
