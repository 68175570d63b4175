import type { ServerResponse } from 'node:http';

/**
 * What becomes known of a request on its way, for its answer, its log line and its metrics. A class, so that the states
 * of all requests have one shape.
 */
export class RequestState {
  readonly requestId: string;
  /** Its answer asks the connection to close. */
  readonly closesConnection: boolean;
  /** The route's pattern, never the raw URL. */
  route: string | null = null;
  callerName: string | null = null;
  /** It was answered before, and is answered the same. */
  isReplayed = false;
  /** Why it was refused or failed. */
  error: unknown = undefined;
  /** What any answer says of how it was admitted, a name and a value in turn. */
  admissionHeaders: readonly string[] | null = null;

  constructor(requestId: string, closesConnection: boolean) {
    this.requestId = requestId;
    this.closesConnection = closesConnection;
  }
}

/** The state of the request that this response answers; the first middleware puts it where Express keeps such things. */
export function stateOf(response: ServerResponse): RequestState {
  return (response as ServerResponse & { locals: RequestState }).locals;
}
