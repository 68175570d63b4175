import type { ErrorCode } from '../errors.ts';

/** What became of a request with a key that is known here: it was valid, or the code of the problem that refused it. */
export type Outcome = 'valid' | ErrorCode;

/** How often a key came to an outcome in an hour. */
export interface Count {
  apiKeyId: string;
  organizationId: string;
  /** Whole hours since 1970, in UTC. */
  hour: number;
  outcome: Outcome;
  count: number;
}

export const HOUR_MS = 3_600_000;

/** One key in one hour. Most keys are never refused. */
class HourOfUse {
  readonly hour: number;
  valid = 0;
  refused: Map<Outcome, number> | null = null;

  constructor(hour: number) {
    this.hour = hour;
  }
}

/** What one key was used for since it was last written: nothing is allocated when it is used again within the hour. */
export class KeyUse {
  readonly organizationId: string;
  /** When it was last valid, in ms since 1970; 0: it was not. */
  lastValidMs = 0;
  #current: HourOfUse;
  /** The others that are not written yet: there are some around a full hour, and when writing has failed for long. */
  #others: Map<number, HourOfUse> | null = null;

  constructor(organizationId: string, hour: number) {
    this.organizationId = organizationId;
    this.#current = new HourOfUse(hour);
  }

  /** Whether there is a place for what happened in that hour. */
  holds(hour: number): boolean {
    return this.#current.hour === hour || this.#others?.has(hour) === true;
  }

  /** Makes one. */
  hold(hour: number): void {
    this.#others ??= new Map();
    this.#others.set(hour, new HourOfUse(hour));
  }

  /** @param hour one that it holds */
  count(hour: number, outcome: Outcome, atMs: number): void {
    if (this.#current.hour !== hour) this.#turnTo(hour);
    const current = this.#current;
    if (outcome === 'valid') {
      current.valid += 1;
      // A clock may be set back.
      if (atMs > this.lastValidMs) this.lastValidMs = atMs;
    } else {
      current.refused ??= new Map();
      current.refused.set(outcome, (current.refused.get(outcome) ?? 0) + 1);
    }
  }

  /** How many hours it holds. */
  get hours(): number {
    return 1 + (this.#others?.size ?? 0);
  }

  /** Only what is not zero. */
  *counts(apiKeyId: string): Generator<Count> {
    const { organizationId } = this;
    for (const { hour, valid, refused } of [this.#current, ...(this.#others?.values() ?? [])]) {
      if (valid > 0) yield { apiKeyId, organizationId, hour, outcome: 'valid', count: valid };
      for (const [outcome, count] of refused ?? []) yield { apiKeyId, organizationId, hour, outcome, count };
    }
  }

  #turnTo(hour: number): void {
    const found = this.#others?.get(hour);
    if (found === undefined) throw new Error('An hour of a key was counted that is not held');
    this.#others?.delete(hour);
    this.#others?.set(this.#current.hour, this.#current);
    this.#current = found;
  }
}
