import type { Request } from 'express';
import type { Caller } from '../caller.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import type { AnsweringBy, AnyReply, Endpoint } from './endpoint.ts';
import { PROBLEMS } from './problem-catalogue.ts';
import type { RequestState } from './request-state.ts';

/** A request that is to be answered once. */
export interface KeyedRequest {
  caller: Caller;
  key: string;
  /** Method and path pattern: `POST /internal/api-keys/:id/rotate`. */
  route: string;
  params: Record<string, string>;
  /** As it was sent: JSON, parsed. */
  body: unknown;
  /** Its answer shows a key. */
  showsKey: boolean;
}

/** What a request comes to. */
export type Answer = { reply: AnyReply } | { refusal: ServiceError };

/** What a request's transaction is told. */
export interface Keeping {
  begin(queries: object): Promise<void>;
  keep(queries: object, answer: Answer): Promise<void>;
}

/** Remembers answers. Handed in by compose: http knows neither where nor how they are kept. */
export interface Idempotency {
  /**
   * What the request was answered when it was sent before, or what it comes to now.
   *
   * @throws ServiceError `idempotency_key_reused`, `idempotency_key_in_use`, `database_unavailable`,
   * `encryption_unavailable`, `audit_unavailable`, `reveals_frozen` for one that shows a key; what `perform` throws is not kept
   */
  answerOnce(
    request: KeyedRequest,
    perform: (keeping: Keeping) => Promise<Answer>,
  ): Promise<{ answer: Answer; isReplayed: boolean }>;
}

/** The codes that are added to what an idempotent endpoint may answer. */
export const IDEMPOTENCY_ERRORS: readonly ErrorCode[] = [
  'idempotency_key_in_use',
  'idempotency_key_reused',
  'encryption_unavailable',
  'audit_unavailable',
];

/**
 * What a request has come to, and would come to again as long as nothing else changes: not found, a conflict, a precondition
 * that fails, something that cannot be done. Not what its sender has to mend first, and not what is a matter of time.
 */
const LASTING_STATUSES = [404, 409, 412, 422];

function isLastingRefusal(error: unknown): error is ServiceError {
  if (!(error instanceof ServiceError) || error.code === 'idempotency_key_in_use') return false;
  return LASTING_STATUSES.includes(PROBLEMS[error.code].status);
}

/** Of a request without a key: nothing is kept. */
export const notKept: AnsweringBy<AnyReply> = (reply) => ({
  begin: async () => {},
  conclude: async (_queries, result) => reply(result),
  unchanged: reply,
});

/** Of one with a key: the answer is kept with what it tells of. */
function keptBy(keeping: Keeping, check: (reply: AnyReply) => void): AnsweringBy<AnyReply> {
  return (reply) => ({
    begin: (queries) => keeping.begin(queries),
    async conclude(queries, result) {
      const answered = reply(result);
      check(answered);
      await keeping.keep(queries, { reply: answered });
      return answered;
    },
    unchanged: reply,
  });
}

export function keyedRequest(
  { method, path, showsKey = false }: Pick<Endpoint, 'method' | 'path' | 'showsKey'>,
  caller: Caller,
  key: string,
  { params, body }: Pick<Request, 'params' | 'body'>,
): KeyedRequest {
  return { caller, key, route: `${method.toUpperCase()} ${path}`, params, body, showsKey };
}

/**
 * The reply to a request with a key. A lasting refusal is an answer like any other, and is given again; after anything else
 * that is thrown it is as if nobody had asked.
 *
 * @throws ServiceError the refusal too, whether it is given for the first time or again
 */
export async function replyOnce(
  idempotency: Idempotency | undefined,
  request: KeyedRequest,
  state: RequestState,
  {
    perform,
    check,
  }: {
    perform: (answering: AnsweringBy<AnyReply>) => AnyReply | Promise<AnyReply>;
    /** Throws for a reply that must not be given. */
    check: (reply: AnyReply) => void;
  },
): Promise<AnyReply> {
  if (idempotency === undefined) throw new Error('An idempotent endpoint, and nothing that keeps its answers');
  const { answer, isReplayed } = await idempotency.answerOnce(request, async (keeping) => {
    try {
      return { reply: await perform(keptBy(keeping, check)) };
    } catch (error) {
      if (isLastingRefusal(error)) return { refusal: error };
      throw error;
    }
  });
  state.isReplayed = isReplayed;
  if ('refusal' in answer) throw answer.refusal;
  return answer.reply;
}
