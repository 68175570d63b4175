import { databaseUnavailable } from '../database/database-error.ts';
import { ServiceError } from '../errors.ts';
import { within } from '../time-limit.ts';

/** So many uses of one limit. */
export interface WantedUses {
  id: string;
  uses: number;
}

/** What has become of them. */
export interface TakenUses {
  id: string;
  /** How many of the wanted ones there were. */
  granted: number;
  /** After them. */
  remaining: number;
  refillAt: Date | null;
  refillInSeconds: number | null;
}

/** A use that was taken, and how many are left after it; or that there is none, and when there will be. */
export type Use = { granted: true; remaining: number } | { granted: false; refill: Refill | null };

interface Refill {
  at: Date;
  /** From now, and 1 at least. */
  inSeconds: number;
}

export interface UseQueueOptions {
  /** Takes what there is of each of these, each at most once among them; durable when it resolves. */
  take: (wanted: WantedUses[], limitMs: number) => Promise<TakenUses[]>;
  /** Statements at the same time. */
  atOnce: number;
  /** Limits in one statement. */
  together: number;
  /** Uses that wait for their turn. */
  waiting: number;
}

interface Waiting {
  /** Who is not on the way by then is not sent any more: nobody might be waiting for it when it is done. */
  deadlineMs: number;
  /** When its caller gives up. */
  endMs: number;
  resolve: (use: Use) => void;
  reject: (error: unknown) => void;
}

type Batch = Map<string, Waiting[]>;

/** Of the time that a use may take, what it may wait for its turn. */
const PATIENCE = 1 / 3;

/**
 * Takes uses of keys that have only so many. All that wait at one moment, of whichever keys, share a statement and its
 * commit; of a key one statement is under way at a time, so that a key in great demand takes a turn of its own, and a row that
 * somebody else has locked holds up no key but those that are with it just then.
 *
 * A use whose statement may have run is never tried again: it may be counted though its caller was told otherwise, and none
 * is ever granted that was not counted.
 */
export class UseQueue {
  readonly #options: UseQueueOptions;
  /** By their limits, those that have waited longest first. */
  readonly #waiting: Batch = new Map();
  #waitingUses = 0;
  readonly #underWay = new Set<string>();
  #running = 0;
  #gathering = false;
  /** The statement that was over last. */
  #failed = false;

  constructor(options: UseQueueOptions) {
    this.#options = options;
  }

  /**
   * @throws ServiceError within `limitMs`: `overloaded`, at once when too many wait already; `database_unavailable` when it is
   * not known to be taken
   */
  take(id: string, limitMs: number): Promise<Use> {
    if (this.#waitingUses >= this.#options.waiting) return Promise.reject(this.#refusal());
    const use = new Promise<Use>((resolve, reject) => {
      const nowMs = performance.now();
      const waiting = { deadlineMs: nowMs + limitMs * PATIENCE, endMs: nowMs + limitMs, resolve, reject };
      const others = this.#waiting.get(id);
      if (others === undefined) this.#waiting.set(id, [waiting]);
      else others.push(waiting);
    });
    this.#waitingUses += 1;
    this.#gather();
    return within(limitMs, use, databaseUnavailable);
  }

  /** Whoever asks in the same turn of the event loop goes together. */
  #gather(): void {
    if (this.#gathering || this.#running >= this.#options.atOnce) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gathering = false;
      this.#begin();
    });
  }

  #begin(): void {
    while (this.#running < this.#options.atOnce) {
      const batch = this.#nextBatch();
      if (batch.size === 0) return;
      void this.#run(batch);
    }
  }

  #nextBatch(): Batch {
    const nowMs = performance.now();
    const batch: Batch = new Map();
    for (const [id, all] of this.#waiting) {
      if (batch.size === this.#options.together) break;
      if (this.#underWay.has(id)) continue;
      this.#waiting.delete(id);
      this.#waitingUses -= all.length;
      const inTime = all.filter(({ deadlineMs }) => deadlineMs > nowMs);
      for (const { deadlineMs, reject } of all) if (deadlineMs <= nowMs) reject(this.#refusal());
      if (inTime.length > 0) batch.set(id, inTime);
    }
    return batch;
  }

  /** Never rejects. */
  async #run(batch: Batch): Promise<void> {
    this.#running += 1;
    for (const id of batch.keys()) this.#underWay.add(id);
    const taken = await this.#take(batch);
    this.#running -= 1;
    for (const id of batch.keys()) this.#underWay.delete(id);
    this.#failed = taken === null;
    // The next are on their way before these are told, so that the database works while they are answered.
    this.#begin();
    for (const [id, all] of batch) tell(all, taken?.get(id));
  }

  /** By limit; null when that is not known. */
  async #take(batch: Batch): Promise<Map<string, TakenUses> | null> {
    const wanted = [...batch].map(([id, { length: uses }]) => ({ id, uses }));
    let lastEndMs = 0;
    for (const all of batch.values()) for (const { endMs } of all) lastEndMs = Math.max(lastEndMs, endMs);
    try {
      const taken = await this.#options.take(wanted, Math.max(1, lastEndMs - performance.now()));
      return new Map(taken.map((each) => [each.id, each]));
    } catch {
      return null;
    }
  }

  #refusal(): ServiceError {
    if (this.#failed) return databaseUnavailable();
    return new ServiceError('overloaded', 'Too many keys are being counted at the moment. Try again shortly.');
  }
}

/** Who came first is granted first, and sees what was left then. */
function tell(all: readonly Waiting[], taken: TakenUses | undefined): void {
  all.forEach(({ resolve, reject }, index) => {
    if (taken === undefined) reject(databaseUnavailable());
    else if (index < taken.granted) resolve({ granted: true, remaining: taken.remaining + taken.granted - 1 - index });
    else resolve({ granted: false, refill: refillOf(taken) });
  });
}

function refillOf({ refillAt: at, refillInSeconds }: TakenUses): Refill | null {
  return at === null ? null : { at, inSeconds: Math.max(1, refillInSeconds ?? 1) };
}
