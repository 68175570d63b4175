import type { ErrorRequestHandler, RequestHandler } from 'express';
import { ServiceError } from '../errors.ts';
import { problemOf } from './problem.ts';
import { sendProblem } from './reply.ts';
import { stateOf } from './request-state.ts';

export const notFound: RequestHandler = (_request, _response, next) => {
  next(new ServiceError('not_found', 'There is nothing at this path.'));
};

/** Where every error of a request ends: kept for the log line, and answered with its public part. */
export function errorHandler(docsUrl: string): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, _request, response, _next) => {
    const state = stateOf(response);
    state.error = isMalformedPath(error)
      ? new ServiceError('invalid_request', 'The path is not valid percent-encoded UTF-8.')
      : error;
    sendProblem(response, problemOf(state.error, state.requestId, docsUrl));
  };
}

/** What Express's router throws for a parameter such as `%ff`. */
function isMalformedPath(error: unknown): boolean {
  return error instanceof URIError;
}
