import type { ObservedRequest } from '../http/observe.ts';
import { describeError } from './describe-error.ts';
import type { ErrorMonitor } from './error-monitor.ts';
import { LineLimit } from './line-limit.ts';
import type { Metrics } from './metrics.ts';
import { type RequestLog, VALIDATION } from './request-log.ts';
import { codeOf, isFailure, isOutage } from './request-outcome.ts';

/** One event tells what is wrong; a stored key that does not open is met as often as it is asked for. */
const REPORTS_PER_SECOND = 5;

/** Makes of an answered request its metric, its log line and, when it failed on our side, its report. */
export function requestReporter(
  log: RequestLog,
  metrics: Metrics,
  monitor: ErrorMonitor,
): (request: ObservedRequest) => void {
  // What is left out is counted by the metrics, and by the log.
  const reports = new LineLimit(REPORTS_PER_SECOND, () => {});
  return (request) => {
    const { state, method, status, durationMs } = request;
    const { route, error } = state;
    metrics.requestDuration.observe({ method, route: route ?? 'unmatched', status }, durationMs / 1000);
    if (route === VALIDATION) metrics.validations.inc({ outcome: error === undefined ? 'valid' : codeOf(error) });
    log.add(request);
    // An outage fails every request: the metrics tell that better than as many events.
    if (error === undefined || !isFailure(error) || isOutage(codeOf(error))) return;
    reports.offer(codeOf(error), () =>
      monitor.report({
        error: describeError(error),
        requestId: state.requestId,
        route: route ?? 'unmatched',
        method,
      }),
    );
  };
}
