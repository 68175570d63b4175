import { createServer, IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http';
import type { Express } from 'express';

/**
 * Express 4 changes the prototype of every request and response, which makes both slow ever after. Here they are born
 * with Express's prototypes, and the change is none.
 */
export function createBornServer(app: Express): Server {
  return createServer(
    {
      IncomingMessage: bornWith(IncomingMessage, app.request),
      ServerResponse: bornWith(ServerResponse, app.response),
    },
    app as RequestListener,
  );
}

/** Node's own constructors are functions of the old kind, so another one may call them on its own instance. */
function bornWith<T extends typeof IncomingMessage | typeof ServerResponse>(original: T, prototype: object): T {
  function Born(this: object, ...values: unknown[]) {
    Reflect.apply(original, this, values);
  }
  Born.prototype = prototype;
  return Born as unknown as T;
}
