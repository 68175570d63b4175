import type { ErrorDescription } from './describe-error.ts';

/** What is sent to the error monitor, and all of it. */
export interface MonitoredFailure {
  error: ErrorDescription;
  requestId?: string;
  route?: string;
  method?: string;
}

export interface ErrorMonitor {
  report(failure: MonitoredFailure): void;
  /** Sends what is waiting, for at most so long. */
  close(limitMs: number): Promise<void>;
}

/** Where there is no DSN. */
export const noErrorMonitor: ErrorMonitor = { report: () => {}, close: async () => {} };
