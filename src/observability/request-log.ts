import { ServiceError } from '../errors.ts';
import type { ObservedRequest } from '../http/observe.ts';
import { describeError, type ErrorDescription } from './describe-error.ts';
import { LineLimit } from './line-limit.ts';
import type { Logger } from './logger.ts';
import { codeOf, isFailure, isOutage } from './request-outcome.ts';

export const VALIDATION = '/validate';
/**
 * What holders of keys ask, as fast as they can. A line for each good answer would cost as much as the answer, and every
 * reveal has its record in the audit log; whoever guesses keys is refused, or meets a failure, as often.
 */
const ASKED_FREELY = [VALIDATION, '/validate/keys/:provider', '/validate/self', '/internal/api-keys/validate'];
/** Enough to see what goes on, and few enough for any disk. */
const LINES_PER_SECOND = 50;
/** Each of these has lines of its own: who floods us with the one does not hide the other. */
const REFUSED = { validations: 'refused validations', strangers: 'refused requests of nobody that is known' };

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
    this.#limit = new LineLimit(LINES_PER_SECOND, (kind, lines) => {
      if (kind === REFUSED.validations) logger.info({ lines }, 'lines of refused validations were left out');
      else if (kind === REFUSED.strangers) logger.info({ lines }, 'lines of refused strangers were left out');
      else logger.error({ error: { code: kind }, lines }, 'lines of failed requests were left out');
    });
  }

  add(request: ObservedRequest): void {
    const { route, error, callerName } = request.state;
    if (error === undefined) {
      if (route === null || !ASKED_FREELY.includes(route) || this.#isSampled()) this.#write(request);
      return;
    }
    const kind = limitedKind(route, error, callerName === null);
    if (kind === null) this.#write(request);
    else this.#limit.offer(kind, () => this.#write(request));
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
      ...(error === undefined ? {} : { error: failed ? describeError(error) : describeRefusal(error) }),
      ...(aborted ? { aborted } : {}),
    };
    if (failed) this.#logger.error(line, 'request failed');
    else this.#logger.info(line, 'request');
  }
}

/** A 4xx is the caller's business: where it happened in the sources is not told. */
function describeRefusal(error: unknown): Pick<ErrorDescription, 'code' | 'context'> {
  const context = error instanceof ServiceError ? error.context : {};
  return { code: codeOf(error), ...(Object.keys(context).length === 0 ? {} : { context }) };
}

/** What may come in any number, by the kind that its lines are counted as; null: every one has its line. */
function limitedKind(route: string | null, error: unknown, byStranger: boolean): string | null {
  const code = codeOf(error);
  if (isOutage(code)) return code;
  const isFree = route !== null && ASKED_FREELY.includes(route);
  if (isFailure(error)) return isFree ? code : null;
  if (isFree) return REFUSED.validations;
  return byStranger ? REFUSED.strangers : null;
}
