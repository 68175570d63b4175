import { z } from 'zod';
import type { Answering } from '../answering.ts';
import type { ApiKeyCaller, Caller, Permission, ROOT, ServiceCaller } from '../caller.ts';
import type { ErrorCode } from '../errors.ts';
import type { PreparedJson } from '../prepared-json.ts';
import type { Credentials } from './credentials.ts';
import { IDEMPOTENCY_KEY, idempotencyKey } from './idempotency-key.ts';

/** The parts of a request, as its endpoint's schemas made them. */
export type RawInput = Partial<Record<'params' | 'query' | 'headers' | 'body' | 'rawBody', unknown>>;

/** Whether a request goes on, and what is said of that in the headers of whatever it is answered. */
export interface Admission {
  /** A name and a value in turn. */
  headers: readonly string[];
  /** What is thrown instead; null where it goes on. */
  refusal: unknown;
}

/**
 * How an endpoint knows its caller, and what that caller has to be allowed. `security` names the scheme in the OpenAPI
 * document; null is a public endpoint, whose caller is nobody.
 */
export interface Authentication<C extends Caller | null> {
  security: 'apiKey' | 'serviceKey' | 'webhookSignature' | null;
  /** For the documentation: the permission of a service key, or the scope of an API key, that is asked for. */
  needs: string | null;
  /** The codes that it may throw, for the documentation. */
  errors: readonly ErrorCode[];
  /** Headers that it reads beside the credentials, for the documentation. */
  headers?: z.ZodObject;
  /** @throws ServiceError with one of them */
  authenticate(credentials: Credentials): C | Promise<C>;
  /**
   * Where what proves the caller is the body, whether it does: until then `authenticate` has only said who it would be, and
   * the log names nobody. @throws like it
   */
  prove?(caller: C, input: RawInput): Promise<void>;
  /** Whether this caller may ask for this at all: before anything else of the request is looked at. @throws like it */
  authorize?(caller: C): void;
  /** Whether it may ask for this in particular, once the request has been read. @throws like it */
  authorizeInput?(caller: C, input: RawInput): void;
  /** The last word: counts the request, if it goes on. null where there is nothing to say. @throws like it */
  admit?(caller: C, input: RawInput): Admission | null | Promise<Admission | null>;
  /** What is told in the headers of its answers, for the documentation: by name, what it says. */
  answerHeaders?: Readonly<Record<string, string>>;
}

/** Services are let in for something: no endpoint of theirs can be written without saying what it needs. */
export type ServiceAuthentication = (needs: Permission | typeof ROOT) => Authentication<ServiceCaller>;

/** So are holders of API keys: for a scope, or, where it is null, whatever the scopes of their key. */
export type ClientAuthentication<C extends ApiKeyCaller = ApiKeyCaller> = (scope: string | null) => Authentication<C>;

/** The part of a request that a schema describes. What is left out is not read. */
export interface RequestSchemas {
  params?: z.ZodObject;
  query?: z.ZodObject;
  /** By their names as they are written in documents; any case is read. A failure is told as one of the whole request. */
  headers?: z.ZodObject;
  body?: z.ZodType;
  /** In the place of `body`, for what is signed: the bytes as they came, JSON that nobody has read. The schema is for the reference. */
  rawBody?: z.ZodType;
}

export type ResponseSchemas = Record<number, { description: string; schema: z.ZodType; etag?: boolean }>;

type Parsed<R extends RequestSchemas, Part extends keyof RequestSchemas> = R[Part] extends z.ZodType
  ? z.output<R[Part]>
  : undefined;

export interface Input<R extends RequestSchemas> {
  params: Parsed<R, 'params'>;
  query: Parsed<R, 'query'>;
  headers: Parsed<R, 'headers'>;
  body: Parsed<R, 'body'>;
  rawBody: R['rawBody'] extends z.ZodType ? Buffer : undefined;
}

/** One of the declared answers: its status, and a body that fits that status's schema, or its text made beforehand. */
export type Reply<S extends ResponseSchemas> = {
  [Status in keyof S & number]: {
    status: Status;
    body: z.input<S[Status]['schema']> | PreparedJson<z.input<S[Status]['schema']>>;
    headers?: Record<string, string>;
  };
}[keyof S & number];

/** Says how a use case's result is answered; see answering.ts. */
export type AnsweringBy<Answer> = <T>(reply: (result: T) => Answer) => Answering<T, Answer>;

export interface EndpointDefinition<C extends Caller | null, R extends RequestSchemas, S extends ResponseSchemas> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As Express writes it: `/internal/keys/:provider`. */
  path: `/${string}`;
  /** The heading that it stands under in the reference. */
  tag: string;
  summary: string;
  description?: string;
  authentication: Authentication<C>;
  request: R;
  responses: S;
  /** What it may answer beside what every endpoint may (see openapi.ts) and what its authentication adds. */
  errors?: readonly ErrorCode[];
  /** Where a body may be larger than anywhere else. */
  largestBodyBytes?: number;
  /** It hands out a secret, so that HEAD, which would be recorded as a reveal and show nothing, is 405. */
  revealsSecret?: boolean;
  /**
   * It takes an Idempotency-Key: what it makes, and its answer, are made in one transaction. So its use case is handed an
   * `Answering`, made by the third argument of `handle`.
   */
  idempotent?: boolean;
  /**
   * Its answer shows a key. It is not given again while reveals are frozen, and not at all when the request made nothing: then
   * it is a request like any other.
   */
  showsKey?: boolean;
  handle(
    caller: C,
    input: Input<R>,
    answering: AnsweringBy<Reply<NoInfer<S>>>,
  ): Reply<NoInfer<S>> | Promise<Reply<NoInfer<S>>>;
}

/** An endpoint with its types forgotten, as the edge function and the OpenAPI generator take it. */
export type Endpoint = Omit<
  EndpointDefinition<Caller | null, RequestSchemas, ResponseSchemas>,
  'handle' | 'authentication'
> & {
  authentication: Authentication<Caller | null>;
  handle(caller: never, input: never, answering: never): AnyReply | Promise<AnyReply>;
};

export interface AnyReply {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** Declares an endpoint; the schemas type what `handle` receives and may answer. */
export function endpoint<C extends Caller | null, R extends RequestSchemas, const S extends ResponseSchemas>(
  definition: EndpointDefinition<C, R, S>,
): Endpoint {
  return definition.idempotent ? { ...definition, request: withKey(definition.request) } : definition;
}

function withKey({ headers = z.object({}), ...request }: RequestSchemas): RequestSchemas {
  return { ...request, headers: headers.extend({ [IDEMPOTENCY_KEY]: idempotencyKey.optional() }) };
}

/** The authentication of an endpoint that is open to everyone. */
export const everyone: Authentication<null> = { security: null, needs: null, errors: [], authenticate: () => null };
