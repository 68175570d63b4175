import type { Response } from 'express';

/** What becomes known of a request on its way, for its log line and its metrics. */
export interface RequestState {
  requestId: string;
  /** The route's pattern, never the raw URL. */
  route: string | null;
  callerName: string | null;
  /** Why it was refused or failed. */
  error: unknown;
}

/** The state of the request that this response answers; made by the first middleware. */
export function stateOf(response: Response): RequestState {
  return response.locals as RequestState;
}

export function initialState(requestId: string): RequestState {
  return { requestId, route: null, callerName: null, error: undefined };
}
