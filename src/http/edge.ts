import { isDeepStrictEqual } from 'node:util';
import type { Request, Response } from 'express';
import { type Caller, callerName } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import { PreparedJson } from '../prepared-json.ts';
import { credentialsOf } from './credentials.ts';
import type { Admission, AnsweringBy, AnyReply, Endpoint, RawInput } from './endpoint.ts';
import type { AnswerError } from './error-handler.ts';
import { type Idempotency, keyedRequest, notKept, replyOnce } from './idempotency.ts';
import { keyOf } from './idempotency-key.ts';
import { sendJson } from './reply.ts';
import type { InputReader } from './request-input.ts';
import { type RequestState, stateOf } from './request-state.ts';

export interface EdgeOptions {
  /** Whether an answer that does not fit its schema is an error. */
  checkResponses: boolean;
  /** Whether there are proxies whose word is taken for where a request comes from. */
  trustsProxies: boolean;
  /** Needed where there are idempotent endpoints. */
  idempotency?: Idempotency | undefined;
  answerError: AnswerError;
}

/**
 * The one way from HTTP into a use case and back, the same for every endpoint: authenticate, authorize, read, admit, call, check
 * the answer against its schema, send. Whatever is thrown on the way is answered as a problem.
 *
 * Who the caller is and what it may do is decided before its request is looked at: who may not come in learns nothing about
 * what would have been wrong, and nobody's body is read for nothing.
 *
 * A promise only where something on the way has to be waited for: nothing has, where a known key is validated.
 */
export function serve(
  endpoint: Endpoint,
  readInput: InputReader,
  { checkResponses, trustsProxies, idempotency }: EdgeOptions,
  request: Request,
  response: Response,
): void | Promise<void> {
  const state = stateOf(response);
  state.route = endpoint.path;
  const { authentication } = endpoint;
  return after(authentication.authenticate(credentialsOf(request, state.requestId, trustsProxies)), (caller) => {
    if (caller !== null && authentication.prove === undefined) state.callerName = callerName(caller);
    authentication.authorize?.(caller);
    return after(readInput(request, response), (input) =>
      after(allow(authentication, caller, input, state), () => {
        const key = endpoint.idempotent ? keyOf(input) : undefined;
        const asked =
          key === undefined || caller === null
            ? call(endpoint)(caller, input, notKept)
            : replyOnce(idempotency, keyedRequest(endpoint, caller, key, request), state, {
                perform: (answering) => call(endpoint)(caller, input, answering),
                check: (reply) => (checkResponses ? checkReply(endpoint, reply) : undefined),
              });
        return after(asked, (reply) => {
          if (checkResponses) checkReply(endpoint, reply);
          sendJson(response, reply.status, reply.body, reply.headers);
        });
      }),
    );
  });
}

/** What is next, as soon as there is what it needs: at once for what is no promise. */
function after<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function allow(
  authentication: Endpoint['authentication'],
  caller: Caller | null,
  input: RawInput,
  state: RequestState,
): void | Promise<void> {
  const proven = prove(authentication, caller, input, state);
  if (proven instanceof Promise) return proven.then(() => admit(authentication, caller, input, state));
  return admit(authentication, caller, input, state);
}

function prove(
  { prove }: Endpoint['authentication'],
  caller: Caller | null,
  input: RawInput,
  state: RequestState,
): void | Promise<void> {
  if (caller === null || prove === undefined) return;
  return prove(caller, input).then(() => {
    state.callerName = callerName(caller);
  });
}

function admit(
  authentication: Endpoint['authentication'],
  caller: Caller | null,
  input: RawInput,
  state: RequestState,
): void | Promise<void> {
  authentication.authorizeInput?.(caller, input);
  const admission = authentication.admit?.(caller, input);
  if (admission instanceof Promise) return admission.then((later) => obey(later, state));
  obey(admission, state);
}

function obey(admission: Admission | null | undefined, state: RequestState): void {
  if (!admission) return;
  state.admissionHeaders = admission.headers;
  if (admission.refusal !== null) throw admission.refusal;
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
  return endpoint.handle as (
    caller: unknown,
    input: RawInput,
    answering: AnsweringBy<AnyReply>,
  ) => ReturnType<Endpoint['handle']>;
}
