import type { RequestHandler } from 'express';
import type { RequestState } from './request-state.ts';
import { stateOf } from './request-state.ts';

/** A request that has been answered, or given up by its sender. */
export interface ObservedRequest extends RequestState {
  method: string;
  status: number;
  durationMs: number;
  /** The sender went away before it had the whole answer. */
  aborted: boolean;
}

/** Nothing was answered: nginx's number for a request whose sender went away first. */
const CLOSED_BY_SENDER = 499;

export interface RequestObserver {
  started(): void;
  /** Told once of every request, when its connection is done with it. */
  ended(request: ObservedRequest): void;
}

export function observe(observer: RequestObserver): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    observer.started();
    // A pipelined answer that still waits for its turn when the connection goes emits no close of its own.
    const { socket } = request;
    const ended = () => {
      response.off('close', ended);
      socket.off('close', ended);
      observer.ended({
        ...stateOf(response),
        method: request.method,
        status: response.headersSent ? response.statusCode : CLOSED_BY_SENDER,
        durationMs: performance.now() - startedAt,
        aborted: !response.writableFinished,
      });
    };
    response.on('close', ended);
    socket.on('close', ended);
    next();
  };
}
