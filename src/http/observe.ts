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

export interface RequestObserver {
  started(): void;
  /** Told once of every request, when its connection is done with it. */
  ended(request: ObservedRequest): void;
}

export function observe(observer: RequestObserver): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    observer.started();
    response.once('close', () => {
      observer.ended({
        ...stateOf(response),
        method: request.method,
        status: response.statusCode,
        durationMs: performance.now() - startedAt,
        aborted: !response.writableFinished,
      });
    });
    next();
  };
}
