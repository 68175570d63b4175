import { createServer, IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http';
import type { Express } from 'express';

/**
 * Express 4 changes the prototype of every request and response, which makes both slow ever after. Here they are born
 * with Express's prototypes, and the change is none.
 */
export function createBornServer(app: Express): Server {
  class BornRequest extends IncomingMessage {}
  class BornResponse extends ServerResponse<BornRequest> {}
  Object.setPrototypeOf(BornRequest.prototype, app.request);
  Object.setPrototypeOf(BornResponse.prototype, app.response);
  Object.assign(app, { request: BornRequest.prototype, response: BornResponse.prototype });
  return createServer({ IncomingMessage: BornRequest, ServerResponse: BornResponse }, app as RequestListener);
}
