import pLimit from 'p-limit';
import { ServiceError } from '../errors.ts';

export interface LookUpBudgetOptions {
  /** Look-ups at the same time. */
  atOnce: number;
  /** Look-ups that wait for their turn. */
  waiting: number;
  /** How long a look-up may wait; after that nobody waits for it any more. */
  patienceMs: number;
}

/**
 * Bounds what is asked of the database at once: a slow one is not drowned by its own caches, and a flood of keys that
 * nobody issued leaves connections for everything else.
 */
export class LookUpBudget {
  readonly #options: LookUpBudgetOptions;
  readonly #limit: ReturnType<typeof pLimit>;

  constructor(options: LookUpBudgetOptions) {
    this.#options = options;
    this.#limit = pLimit(options.atOnce);
  }

  /** @throws ServiceError `overloaded`, at once when too many wait already */
  run<T>(lookUp: () => Promise<T>): Promise<T> {
    const { waiting, patienceMs } = this.#options;
    if (this.#limit.pendingCount >= waiting) return Promise.reject(overloaded());
    const deadline = performance.now() + patienceMs;
    return this.#limit(() => (performance.now() < deadline ? lookUp() : Promise.reject(overloaded())));
  }
}

function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'Too many keys are being looked up at the moment. Try again shortly.');
}
