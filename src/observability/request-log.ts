import type { ObservedRequest } from '../http/observe.ts';
import { describeError } from './describe-error.ts';
import { LineLimit } from './line-limit.ts';
import type { Logger } from './logger.ts';
import { codeOf, isFailure, isOutage } from './request-outcome.ts';

/** The one endpoint that is asked so often that a line for each good answer would cost more than the answer. */
export const VALIDATION = '/validate';
/** Whoever guesses keys is refused as fast as they can ask. */
const REFUSING = [VALIDATION, '/validate/keys/:provider'];

/** Decides which requests have a line in the log, and writes it. Metrics count them all. */
export class RequestLog {
  readonly #logger: Logger;
  readonly #sampleValidations: number;
  readonly #limit: LineLimit<string>;
  #validations = 0;

  /** @param sampleValidations one in so many good validations has a line; 0: none */
  constructor(logger: Logger, sampleValidations: number) {
    this.#logger = logger;
    this.#sampleValidations = sampleValidations;
    this.#limit = new LineLimit((kind, lines) => {
      if (isOutage(kind)) logger.error({ error: { code: kind }, lines }, 'lines of failed requests were left out');
      else logger.info({ lines }, 'lines of refused validations were left out');
    });
  }

  add(request: ObservedRequest): void {
    const { route, error } = request.state;
    if (error === undefined) {
      if (route !== VALIDATION || this.#isSampled()) this.#write(request);
      return;
    }
    const code = codeOf(error);
    if (isOutage(code)) this.#limit.offer(code, () => this.#write(request));
    else if (isRefusedValidation(route, error)) this.#limit.offer('refused', () => this.#write(request));
    else this.#write(request);
  }

  #isSampled(): boolean {
    if (this.#sampleValidations === 0) return false;
    this.#validations = (this.#validations + 1) % this.#sampleValidations;
    return this.#validations === 0;
  }

  #write({ state, method, status, durationMs, aborted }: ObservedRequest): void {
    const { requestId, route, callerName, error } = state;
    const failed = error !== undefined && isFailure(error);
    const line = {
      requestId,
      method,
      route: route ?? 'unmatched',
      status,
      durationMs: Math.round(durationMs * 10) / 10,
      ...(callerName === null ? {} : { caller: callerName }),
      ...(error === undefined ? {} : { error: failed ? describeError(error) : { code: codeOf(error) } }),
      ...(aborted ? { aborted } : {}),
    };
    if (failed) this.#logger.error(line, 'request failed');
    else this.#logger.info(line, 'request');
  }
}

function isRefusedValidation(route: string | null, error: unknown): boolean {
  return route !== null && REFUSING.includes(route) && !isFailure(error);
}
