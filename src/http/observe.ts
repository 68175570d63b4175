import type { IncomingMessage, ServerResponse } from 'node:http';
import { whenDone } from './owed-answers.ts';
import { type RequestState, stateOf } from './request-state.ts';

/** A request that has been answered, or given up by its sender. */
export interface ObservedRequest {
  state: RequestState;
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

export function observe(observer: RequestObserver, request: IncomingMessage, response: ServerResponse): void {
  const startedAt = performance.now();
  observer.started();
  whenDone(response, request.socket, () =>
    observer.ended({
      state: stateOf(response),
      method: request.method ?? '',
      status: response.headersSent ? response.statusCode : CLOSED_BY_SENDER,
      durationMs: performance.now() - startedAt,
      aborted: !response.writableFinished,
    }),
  );
}
