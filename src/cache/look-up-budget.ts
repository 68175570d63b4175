import pLimit from 'p-limit';
import { databaseUnavailable } from '../database/database-error.ts';
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
  /** Of the look-up that was over last. */
  #failed = false;

  constructor(options: LookUpBudgetOptions) {
    this.#options = options;
    this.#limit = pLimit(options.atOnce);
  }

  /**
   * @throws ServiceError `overloaded`, at once when too many wait already; `database_unavailable` where that is because
   * look-ups fail
   */
  run<T>(lookUp: () => Promise<T>): Promise<T> {
    const { waiting, patienceMs } = this.#options;
    if (this.#limit.pendingCount >= waiting) return Promise.reject(this.#refusal());
    const deadline = performance.now() + patienceMs;
    return this.#limit(() => (performance.now() < deadline ? this.#noting(lookUp) : Promise.reject(this.#refusal())));
  }

  async #noting<T>(lookUp: () => Promise<T>): Promise<T> {
    try {
      const found = await lookUp();
      this.#failed = false;
      return found;
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  #refusal(): ServiceError {
    return this.#failed ? databaseUnavailable() : overloaded();
  }
}

function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'Too many keys are being looked up at the moment. Try again shortly.');
}
