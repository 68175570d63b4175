import { requireScopes } from '../api-keys/scopes.ts';
import { ServiceError } from '../errors.ts';
import type { Quota } from '../rate-limits/rate-limit.ts';
import type { RateLimits } from '../rate-limits/rate-limits.ts';
import type { KeyUsage } from '../usage/key-usage.ts';
import { type KeyHolder, msLeftOf } from './key-holder.ts';
import { rateLimited } from './rate-limited.ts';
import { ADMISSION_REFUSALS } from './refusal.ts';
import type { Uses } from './uses.ts';

interface Dependencies {
  usage: KeyUsage;
  rateLimits: RateLimits;
  uses: Uses;
}

/** The rest of the judgement about a good key, once it is known what its holder wants. */
export class Admissions {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * What costs nobody anything comes first, and a use of the key last: a request that is refused has used none up. A promise
   * only where uses are limited, or other replicas count with this one. To be asked once for every request, which is counted by
   * what comes of it.
   *
   * @throws ServiceError `insufficient_scope`, `rate_limited`, or as `Uses.take` does
   */
  admit(holder: KeyHolder, scopes: readonly string[]): void | Promise<void> {
    try {
      const admitted = this.#admit(holder, scopes);
      if (!(admitted instanceof Promise)) return this.#countValid(holder);
      return admitted.then(
        () => this.#countValid(holder),
        (error: unknown) => this.#refuse(holder, error),
      );
    } catch (error) {
      this.#refuse(holder, error);
    }
  }

  /** Of a request that is not admitted without them. @throws ServiceError `insufficient_scope` */
  requireScopes(holder: KeyHolder, scopes: readonly string[]): void {
    try {
      requireScopes(holder.known.scopes, scopes);
    } catch (error) {
      this.#refuse(holder, error);
    }
  }

  #admit(holder: KeyHolder, scopes: readonly string[]): void | Promise<void> {
    const { id, scopes: granted, rateLimit, usageLimitId } = holder.known;
    requireScopes(granted, scopes);
    if (rateLimit !== null) {
      const quota = this.#dependencies.rateLimits.take(id, rateLimit);
      if (quota instanceof Promise) {
        // Waiting for Redis is part of the time that a validation has.
        holder.beganMs ??= performance.now();
        return quota.then((later) => this.#count(holder, later));
      }
      return this.#count(holder, quota);
    }
    if (usageLimitId !== null) return this.#use(holder, usageLimitId);
  }

  #count(holder: KeyHolder, quota: Quota): void | Promise<void> {
    holder.quota = quota;
    if (!quota.admitted) throw rateLimited(quota);
    const { usageLimitId } = holder.known;
    if (usageLimitId !== null) return this.#use(holder, usageLimitId);
  }

  async #use(holder: KeyHolder, usageLimitId: string): Promise<void> {
    holder.remainingUses = await this.#dependencies.uses.take(usageLimitId, msLeftOf(holder));
  }

  #countValid({ known, atMs }: KeyHolder): void {
    this.#dependencies.usage.record(known, 'valid', atMs);
  }

  /** What went wrong on our side is no refusal, and no use. */
  #refuse({ known, atMs }: KeyHolder, error: unknown): never {
    if (error instanceof ServiceError && ADMISSION_REFUSALS.includes(error.code)) {
      this.#dependencies.usage.record(known, error.code, atMs);
    }
    throw error;
  }
}
