import type { ObservedRequest } from '../http/observe.ts';
import { describeError } from './describe-error.ts';
import type { ErrorMonitor } from './error-monitor.ts';
import type { Metrics } from './metrics.ts';
import { type RequestLog, VALIDATION } from './request-log.ts';
import { codeOf, isFailure, isOutage } from './request-outcome.ts';

/** Makes of an answered request its metric, its log line and, when it failed on our side, its report. */
export function requestReporter(
  log: RequestLog,
  metrics: Metrics,
  monitor: ErrorMonitor,
): (request: ObservedRequest) => void {
  return (request) => {
    const { state, method, status, durationMs } = request;
    const { route, error } = state;
    metrics.requestDuration.observe({ method, route: route ?? 'unmatched', status }, durationMs / 1000);
    if (route === VALIDATION) metrics.validations.inc({ outcome: error === undefined ? 'valid' : codeOf(error) });
    log.add(request);
    // An outage fails every request: the metrics tell that better than as many events.
    if (error !== undefined && isFailure(error) && !isOutage(codeOf(error))) {
      monitor.report({
        error: describeError(error),
        requestId: state.requestId,
        route: route ?? 'unmatched',
        method,
      });
    }
  };
}
