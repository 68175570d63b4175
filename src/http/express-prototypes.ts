import { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

/**
 * Where the requests and responses of an application get Express's methods from. `per-request` is Express 4's own way,
 * which tests run beside the other one.
 */
export type ExpressPrototypes = 'at-birth' | 'per-request';

/**
 * Options for `http.createServer`: classes of requests and responses that have the application's prototypes from the
 * start.
 *
 * Express 4 gives every request and every response the application's prototype when it arrives, and an object whose
 * prototype changes is slow ever after (see docs/decisions). Here that same call finds the prototype in place, and V8
 * leaves the object alone.
 */
export function bornWithPrototypesOf(app: Express) {
  class ExpressRequest extends IncomingMessage {}
  class ExpressResponse extends ServerResponse<ExpressRequest> {}
  Object.setPrototypeOf(ExpressRequest.prototype, app.request);
  Object.setPrototypeOf(ExpressResponse.prototype, app.response);
  // What Express gives to each of them from now on: what they have.
  Object.assign(app, { request: ExpressRequest.prototype, response: ExpressResponse.prototype });
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse };
}
