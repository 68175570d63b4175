import type { ServiceCaller } from '../caller.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import type { Admissions } from './admissions.ts';
import type { ClientOrigin } from './client-origin.ts';
import type { ValidationAnswer } from './known-key.ts';
import { ADMISSION_REFUSALS, REFUSAL_CODES, refused } from './refusal.ts';
import type { KeyValidation } from './validation.ts';

/** What each key is answered: as by a validation of its own, or that nobody could say just now whether it is good. */
export type BatchResult =
  | ValidationAnswer
  | { valid: false | null; code: ErrorCode; error: string; retryAfterSeconds?: number };

export interface Batch {
  /** In the order of the answers. The same key twice is two validations. */
  keys: readonly string[];
  /** That each key must have, all of them. */
  scopes: readonly string[];
}

/** What is said of a key; everything else is of the service, and says nothing against the key. */
const REFUSALS: readonly ErrorCode[] = [...Object.values(REFUSAL_CODES), ...ADMISSION_REFUSALS];

/**
 * Validates many keys at once, for a gateway. Each by itself: that one cannot be looked up takes nothing from those that memory
 * knows, and is never told as if the key were bad.
 */
export class BatchValidation {
  readonly #validation: KeyValidation;
  readonly #admissions: Admissions;
  readonly #onOutcome: (outcome: 'valid' | ErrorCode) => void;

  /** @param onOutcome told of every key */
  constructor(validation: KeyValidation, admissions: Admissions, onOutcome: (outcome: 'valid' | ErrorCode) => void) {
    this.#validation = validation;
    this.#admissions = admissions;
    this.#onOutcome = onOutcome;
  }

  /** @param origin of those whose keys they are */
  validate(_caller: ServiceCaller, origin: ClientOrigin, { keys, scopes }: Batch): Promise<BatchResult[]> {
    return Promise.all(keys.map((key) => this.#result(origin, key, scopes)));
  }

  async #result(origin: ClientOrigin, key: string, scopes: readonly string[]): Promise<BatchResult> {
    try {
      const answer = await this.#answer(origin, key, scopes);
      this.#onOutcome('valid');
      return answer;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      const { code, detail, retryAfterSeconds } = error;
      this.#onOutcome(code);
      const result = { valid: REFUSALS.includes(code) ? (false as const) : null, code, error: detail };
      return retryAfterSeconds === undefined ? result : { ...result, retryAfterSeconds };
    }
  }

  async #answer(origin: ClientOrigin, key: string, scopes: readonly string[]): Promise<ValidationAnswer> {
    const outcome = await this.#validation.validate(origin, key);
    if (!outcome.valid) throw refused(outcome.refusal);
    const { holder } = outcome;
    await this.#admissions.admit(holder, scopes);
    const membership = await this.#validation.membershipOf(holder);
    return JSON.parse(holder.known.answer(membership, holder.remainingUses).text);
  }
}
