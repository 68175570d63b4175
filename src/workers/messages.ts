import type { ErrorDescription } from '../observability/describe-error.ts';
import type { MetricsSnapshot } from './worker-metrics.ts';

/** Why a start failed, as it is logged. */
export interface StartFailure {
  fields: { reason: string } | { error: ErrorDescription } | { code: number | null; signal: string | null };
  message: string;
}

/** What a worker tells the primary. */
export type FromWorker =
  | { type: 'ready'; port: number }
  | { type: 'start-failed'; failure: StartFailure }
  | { type: 'metrics'; metrics: MetricsSnapshot };

/** What the primary asks a worker. A stop is asked for with a signal, as of any process. */
export type ToWorker = { type: 'report-metrics' };
