import * as Sentry from '@sentry/node';
import { packageVersion } from '../package-version.ts';
import type { ErrorMonitor } from './error-monitor.ts';

/**
 * Sentry, without its instrumentation: it costs more than a third of the service's speed, and collects what must not
 * leave (see docs/decisions). Events are built here from named fields; the options below keep the SDK from adding any.
 */
export function sentryErrorMonitor(dsn: string, environment: string): ErrorMonitor {
  Sentry.initWithoutDefaultIntegrations({
    dsn,
    environment,
    release: `key-service@${packageVersion}`,
    serverName: 'key-service',
    enableRuntimeChannelInjection: false,
    dataCollection: {
      userInfo: false,
      cookies: false,
      httpHeaders: { request: false, response: false },
      httpBodies: [],
      urlQueryParams: false,
      stackFrameVariables: false,
      databaseQueryData: false,
      frameContextLines: 0,
    },
  });
  return {
    report({ error, requestId, route, method }) {
      Sentry.captureEvent({
        level: 'error',
        exception: { values: [{ type: error.type, value: error.code ?? error.type }] },
        fingerprint: [error.type, error.code ?? '', error.origin ?? '', route ?? ''],
        ...(route === undefined ? {} : { transaction: `${method} ${route}` }),
        tags: { code: error.code, origin: error.origin, requestId },
        ...(error.context === undefined ? {} : { contexts: { failure: error.context } }),
      });
    },
    async close(limitMs) {
      await Sentry.close(limitMs);
    },
  };
}
