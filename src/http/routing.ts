import type { Express, RequestHandler } from 'express';
import { type EdgeOptions, serve } from './edge.ts';
import type { Endpoint } from './endpoint.ts';
import { MethodNotAllowed } from './method-not-allowed.ts';
import { inputReader } from './request-input.ts';
import { stateOf } from './request-state.ts';

/**
 * All endpoints, and a 405 for every path of theirs with another method. Straight in the app: each request would pay for a
 * router in it.
 */
export function addEndpoints(app: Express, endpoints: readonly Endpoint[], options: EdgeOptions): void {
  for (const [path, ofPath] of inOrder(byPath(endpoints))) {
    const refusal = refuseMethod(path, ofPath.flatMap(methodsOf));
    // Express answers HEAD through the GET handler unless something comes first.
    if (ofPath.some(({ revealsSecret }) => revealsSecret)) app.head(path, refusal);
    for (const endpoint of ofPath) {
      const readInput = inputReader(endpoint.request, endpoint.largestBodyBytes);
      app[endpoint.method](path, (request, response, next) => {
        // Not `next`: Express would look through all that comes after it for an error handler.
        try {
          serve(endpoint, readInput, options, request, response)
            ?.catch((error: unknown) => options.answerError(error, response))
            .catch(next);
        } catch (error) {
          options.answerError(error, response);
        }
      });
    }
    // Before a later path that has a parameter where this one has a word: `identify` is nobody's id, whatever the method.
    app.all(path, refusal);
  }
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
