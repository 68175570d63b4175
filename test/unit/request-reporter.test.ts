import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ServiceError } from '../../src/errors.ts';
import { RequestState } from '../../src/http/request-state.ts';
import type { MonitoredFailure } from '../../src/observability/error-monitor.ts';
import { Metrics } from '../../src/observability/metrics.ts';
import type { RequestLog } from '../../src/observability/request-log.ts';
import { requestReporter } from '../../src/observability/request-reporter.ts';

const unreadable = new ServiceError('provider_key_unreadable', 'x');

let reports: MonitoredFailure[];
let fail: (times: number, status: number, error: unknown) => Promise<void>;
beforeEach(() => {
  vi.useFakeTimers();
  reports = [];
  const log = { add: () => {} } as unknown as RequestLog;
  const monitor = { report: (failure: MonitoredFailure) => void reports.push(failure), close: async () => {} };
  const report = requestReporter(log, new Metrics(), monitor);
  fail = async (times, status, error) => {
    for (let time = 0; time < times; time += 1) {
      const state = new RequestState(`id-${time}`, false);
      Object.assign(state, { route: '/validate/keys/:provider', error });
      report({ state, method: 'GET', status, durationMs: 1, aborted: false });
    }
    await vi.advanceTimersByTimeAsync(0);
  };
});
afterEach(() => {
  vi.useRealTimers();
});

const codes = () => reports.map(({ error }) => error.code ?? error.type);

it('reports five failures of one code in a second, and of every code', async () => {
  await fail(1_000, 500, unreadable);
  await fail(1, 500, new TypeError('x'));
  expect(codes()).toEqual([...Array(5).fill('provider_key_unreadable'), 'TypeError']);
  expect(reports[0]).toMatchObject({ requestId: 'id-0', route: '/validate/keys/:provider', method: 'GET' });
});

it('reports it again in the next second', async () => {
  await fail(100, 500, unreadable);
  await vi.advanceTimersByTimeAsync(1_100);
  await fail(100, 500, unreadable);
  expect(reports).toHaveLength(10);
});

it.each(['database_unavailable', 'encryption_unavailable', 'audit_unavailable', 'overloaded'] as const)(
  'does not report the outage %s',
  async (code) => {
    await fail(1, 503, new ServiceError(code, 'x'));
    expect(reports).toEqual([]);
  },
);

it('does not report what is the business of the caller', async () => {
  await fail(1, 401, new ServiceError('api_key_invalid', 'x'));
  expect(reports).toEqual([]);
});
