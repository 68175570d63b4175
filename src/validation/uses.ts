import type { Database } from '../database/database.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import { ServiceError } from '../errors.ts';
import { type Use, UseQueue } from './use-queue.ts';
import { prepareTakeUses } from './uses-store.ts';

/** A statement of so many limits takes the database a few milliseconds. */
const TOGETHER = 500;
/** More than a replica answers in the time that each of them has. */
const WAITING = 10_000;

/** Counts the uses of keys that have only so many. */
export class Uses {
  readonly #queue: UseQueue;

  /** @param atOnce database connections that it may use at once */
  constructor(database: Database, atOnce: number) {
    this.#queue = new UseQueue({ take: prepareTakeUses(database), atOnce, together: TOGETHER, waiting: WAITING });
  }

  /**
   * Takes one, which is durable when it resolves.
   *
   * @returns how many are left after it
   * @throws ServiceError `usage_exceeded` when there is none; `database_unavailable` or `overloaded` within `limitMs`, when it
   * may be counted and is not granted
   */
  async take(limitId: string, limitMs: number): Promise<number> {
    if (limitMs <= 0) throw databaseUnavailable();
    const use = await this.#queue.take(limitId, limitMs);
    if (!use.granted) throw usedUp(use);
    return use.remaining;
  }
}

function usedUp({ refill }: Extract<Use, { granted: false }>): ServiceError {
  if (refill === null) return new ServiceError('usage_exceeded', 'This API key is used up.');
  return new ServiceError('usage_exceeded', `This API key is used up until ${refill.at.toISOString()}.`, {
    retryAfterSeconds: refill.inSeconds,
  });
}
