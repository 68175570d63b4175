import type { ServerResponse } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { ServiceError } from '../errors.ts';
import { problemOf } from './problem.ts';
import { sendProblem } from './reply.ts';
import { stateOf } from './request-state.ts';

export const notFound: RequestHandler = (_request, _response, next) => {
  next(new ServiceError('not_found', 'There is nothing at this path.'));
};

/** Where every error of a request ends: kept for the log line, and answered with its public part. */
export type AnswerError = (error: unknown, response: ServerResponse) => void;

export function answerErrors(docsUrl: string): AnswerError {
  return (error, response) => {
    const state = stateOf(response);
    state.error = error;
    sendProblem(response, problemOf(error, state.requestId, docsUrl));
  };
}

/** Of what Express throws itself, and of what is no endpoint's. */
export function errorHandler(answerError: AnswerError): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, _request, response, _next) => {
    const known = isMalformedPath(error)
      ? new ServiceError('invalid_request', 'The path is not valid percent-encoded UTF-8.')
      : error;
    answerError(known, response);
  };
}

/** What Express's router throws for a parameter such as `%ff`. */
function isMalformedPath(error: unknown): boolean {
  return error instanceof URIError;
}
