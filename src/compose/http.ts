import type { Server } from 'node:http';
import type { Config } from '../config/config.ts';
import { createApp } from '../http/app.ts';
import type { Drain } from '../http/drain.ts';
import type { Endpoint } from '../http/endpoint.ts';
import type { ExpressPrototypes } from '../http/express-prototypes.ts';
import type { Idempotency } from '../http/idempotency.ts';
import { createHttpServer } from '../http/server.ts';
import type { ErrorMonitor } from '../observability/error-monitor.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { RequestLog } from '../observability/request-log.ts';
import { requestReporter } from '../observability/request-reporter.ts';

/** The server of all endpoints, joined with what requests tell to the log, to the metrics and to the error monitor. */
export function composeHttp({
  config,
  endpoints,
  idempotency,
  drain,
  expressPrototypes,
  logger,
  metrics,
  monitor,
}: {
  config: Config;
  endpoints: readonly Endpoint[];
  idempotency: Idempotency;
  drain: Drain;
  expressPrototypes: ExpressPrototypes;
  logger: Logger;
  metrics: Metrics;
  monitor: ErrorMonitor;
}): Server {
  const report = requestReporter(new RequestLog(logger, config.logSampleValidations), metrics, monitor);
  const app = createApp({
    endpoints,
    checkResponses: config.environment !== 'production',
    docsEnabled: config.docsEnabled,
    errorDocsUrl: config.errorDocsUrl,
    trustProxy: config.trustProxy,
    idempotency,
    isDraining: () => drain.draining,
    observer: {
      started: () => drain.requestStarted(),
      ended(request) {
        drain.requestEnded();
        report(request);
      },
    },
  });
  return createHttpServer(app, {
    errorDocsUrl: config.errorDocsUrl,
    onRefused: (status) => metrics.refusedRequests.inc({ status }),
    expressPrototypes,
  });
}
