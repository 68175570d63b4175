import express, { type Express } from 'express';
import { documentation } from './documentation.ts';
import type { Endpoint } from './endpoint.ts';
import { answerErrors, errorHandler, notFound } from './error-handler.ts';
import type { Idempotency } from './idempotency.ts';
import { observe, type RequestObserver } from './observe.ts';
import { requestIdOf } from './request-id.ts';
import { RequestState } from './request-state.ts';
import { addEndpoints } from './routing.ts';
import type { TrustProxy } from './trust-proxy.ts';

export interface AppOptions {
  endpoints: readonly Endpoint[];
  /** Outside production, an answer that does not fit its schema is an error instead of a surprise for the caller. */
  checkResponses: boolean;
  docsEnabled: boolean;
  errorDocsUrl: string;
  /** Proxies that are believed about where a request comes from; null: none. */
  trustProxy: TrustProxy | null;
  /** Needed where there are idempotent endpoints. */
  idempotency?: Idempotency;
  observer: RequestObserver;
  /** While true, every answer asks its connection to close. */
  isDraining: () => boolean;
}

/** The whole service as Express sees it, in the order in which a request meets it. */
export function createApp({
  endpoints,
  checkResponses,
  docsEnabled,
  errorDocsUrl,
  trustProxy,
  idempotency,
  observer,
  isDraining,
}: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  // A proxy's rule on /internal must not be got around with /INTERNAL.
  app.set('case sensitive routing', true);
  if (trustProxy !== null) app.set('trust proxy', trustProxy);

  // One and not several, since each costs a request about as much as its work here; the headers are reply.ts's.
  app.use((request, response, next) => {
    response.locals = new RequestState(requestIdOf(request), isDraining());
    observe(observer, request, response);
    next();
  });
  const answerError = answerErrors(errorDocsUrl);
  addEndpoints(app, endpoints, { checkResponses, trustsProxies: trustProxy !== null, idempotency, answerError });
  if (docsEnabled) app.use(documentation(endpoints));
  app.use(notFound);
  app.use(errorHandler(answerError));
  return app;
}
