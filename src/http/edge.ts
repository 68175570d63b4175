import { isDeepStrictEqual } from 'node:util';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import { callerName } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import { PreparedJson } from '../prepared-json.ts';
import { credentialsOf } from './credentials.ts';
import type { AnyReply, Endpoint, RawInput } from './endpoint.ts';
import { MethodNotAllowed } from './method-not-allowed.ts';
import { sendJson } from './reply.ts';
import { type InputReader, inputReader } from './request-input.ts';
import { stateOf } from './request-state.ts';

/**
 * The one way from HTTP into a use case and back, the same for every endpoint: authenticate, authorize, read, call, check
 * the answer against its schema, send. Whatever is thrown on the way goes to the error handler.
 *
 * Who the caller is and what it may do is decided before its request is looked at: who may not come in learns nothing about
 * what would have been wrong, and nobody's body is read for nothing.
 */
async function serve(
  endpoint: Endpoint,
  readInput: InputReader,
  checkResponses: boolean,
  request: Request,
  response: Response,
): Promise<void> {
  const state = stateOf(response);
  state.route = endpoint.path;
  const { authentication } = endpoint;
  const caller = await authentication.authenticate(credentialsOf(request, state.requestId));
  if (caller !== null && authentication.prove === undefined) state.callerName = callerName(caller);
  authentication.authorize?.(caller);
  const input = await readInput(request, response);
  if (caller !== null && authentication.prove !== undefined) {
    await authentication.prove(caller, input);
    state.callerName = callerName(caller);
  }
  authentication.authorizeInput?.(caller, input);
  const reply = await call(endpoint)(caller, input);
  if (checkResponses) checkReply(endpoint, reply);
  sendJson(response, reply.status, reply.body, reply.headers);
}

/**
 * Refuses an answer that is not exactly what the endpoint declares: a field that the schema does not know would reach
 * callers in production. What is sent is the same with and without the check.
 */
function checkReply({ responses, path }: Endpoint, reply: AnyReply): void {
  const { status } = reply;
  const body = reply.body instanceof PreparedJson ? JSON.parse(reply.body.text) : reply.body;
  const declared = responses[status]?.schema.safeParse(body);
  if (!declared?.success || !isDeepStrictEqual(declared.data, body)) {
    throw new ServiceError('internal_error', 'Something went wrong on our side.', { context: { undeclared: path } });
  }
}

/** `endpoint()` has checked that the parts belong together; a list of endpoints of all kinds cannot say so. */
function call(endpoint: Endpoint) {
  return endpoint.handle as (caller: unknown, input: RawInput) => ReturnType<Endpoint['handle']>;
}

/** All endpoints, and a 405 for every path of theirs with another method. */
export function routerOf(endpoints: readonly Endpoint[], { checkResponses }: { checkResponses: boolean }): Router {
  // A proxy's rule on /internal must not be got around with /INTERNAL.
  const router = Router({ caseSensitive: true });
  for (const [path, ofPath] of inOrder(byPath(endpoints))) {
    const refusal = refuseMethod(path, ofPath.flatMap(methodsOf));
    // Express answers HEAD through the GET handler unless something comes first.
    if (ofPath.some(({ revealsSecret }) => revealsSecret)) router.head(path, refusal);
    for (const endpoint of ofPath) {
      const readInput = inputReader(endpoint.request);
      router[endpoint.method](path, (request, response, next) => {
        serve(endpoint, readInput, checkResponses, request, response).catch(next);
      });
    }
    // Before a later path that has a parameter where this one has a word: `identify` is nobody's id, whatever the method.
    router.all(path, refusal);
  }
  return router;
}

/**
 * As they were handed in, but for a path that would never be reached after another one that has a parameter where it has a
 * word: it comes right before that one.
 */
function inOrder(groups: Map<string, Endpoint[]>): [path: string, ofPath: Endpoint[]][] {
  const ordered: [string, Endpoint[]][] = [];
  for (const group of groups) {
    const place = ordered.findIndex(([earlier]) => takesFor(earlier, group[0]));
    ordered.splice(place === -1 ? ordered.length : place, 0, group);
  }
  return ordered;
}

/** Whether a path takes another for one of its own. */
function takesFor(path: string, other: string): boolean {
  const words = other.split('/');
  const segments = path.split('/');
  return (
    segments.length === words.length &&
    segments.every((segment, index) => segment.startsWith(':') || segment === words[index])
  );
}

/** Answers 405 and names the methods that the path does answer. */
export function refuseMethod(path: string, methods: readonly string[]): RequestHandler {
  return (_request, response, next) => {
    stateOf(response).route = path;
    next(new MethodNotAllowed(methods));
  };
}

/** In the order in which the paths are first named. */
function byPath(endpoints: readonly Endpoint[]): Map<string, Endpoint[]> {
  const groups = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) groups.set(endpoint.path, [...(groups.get(endpoint.path) ?? []), endpoint]);
  return groups;
}

function methodsOf({ method, revealsSecret }: Endpoint): string[] {
  return method === 'get' && !revealsSecret ? ['GET', 'HEAD'] : [method.toUpperCase()];
}
