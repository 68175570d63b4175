import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { initialState } from './request-state.ts';

const ACCEPTABLE = /^[A-Za-z0-9._-]{1,128}$/;

/** Takes the caller's request id when it is harmless, else makes one, and sends it back on every answer. */
export const requestId: RequestHandler = (request, response, next) => {
  const sent = request.headers['x-request-id'];
  const id = typeof sent === 'string' && ACCEPTABLE.test(sent) ? sent : randomUUID();
  Object.assign(response.locals, initialState(id));
  response.setHeader('X-Request-Id', id);
  next();
};
