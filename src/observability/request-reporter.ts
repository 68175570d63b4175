import { ServiceError } from '../errors.ts';
import type { ObservedRequest } from '../http/observe.ts';
import { PROBLEMS } from '../http/problem-catalogue.ts';
import { describeError } from './describe-error.ts';
import type { ErrorMonitor } from './error-monitor.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

const VALIDATION_ROUTE = '/validate';

/** Makes of an answered request its log line, its metric and, when it failed on our side, its report. */
export function requestReporter(
  logger: Logger,
  metrics: Metrics,
  monitor: ErrorMonitor,
): (request: ObservedRequest) => void {
  return ({ state, method, status, durationMs, aborted }) => {
    const { requestId, route, callerName, error } = state;
    const label = route ?? 'unmatched';
    metrics.requestDuration.observe({ method, route: label, status }, durationMs / 1000);
    if (route === VALIDATION_ROUTE) metrics.validations.inc({ outcome: error === undefined ? 'valid' : codeOf(error) });
    const failed = error !== undefined && isFailure(error);
    const line = {
      requestId,
      method,
      route: label,
      status,
      durationMs: Math.round(durationMs * 10) / 10,
      ...(callerName === null ? {} : { caller: callerName }),
      ...(error === undefined ? {} : { error: failed ? describeError(error) : { code: codeOf(error) } }),
      ...(aborted ? { aborted } : {}),
    };
    if (failed) logger.error(line, 'request failed');
    else logger.info(line, 'request');
    // A database that is gone fails every request: the metrics tell that better than as many events.
    if (failed && codeOf(error) !== 'database_unavailable') {
      monitor.report({ error: describeError(error), requestId, route: label, method });
    }
  };
}

/** 4xx are the caller's business: no error of ours, no event. */
function isFailure(error: unknown): boolean {
  return !(error instanceof ServiceError) || PROBLEMS[error.code].status >= 500;
}

function codeOf(error: unknown): string {
  return error instanceof ServiceError ? error.code : 'internal_error';
}
