import { isUtf8 } from 'node:buffer';
import express, { type Request, type RequestHandler, type Response } from 'express';
import type { z } from 'zod';
import { type InvalidField, ServiceError } from '../errors.ts';
import { timesSent } from './credentials.ts';
import type { RawInput, RequestSchemas } from './endpoint.ts';
import { findUnsafeText, publicName } from './safe-text.ts';
import { validationMessage } from './validation-messages.ts';

const BODY_LIMIT_BYTES = 64 * 1024;
/** More of what is wrong helps nobody, and would be an answer larger than the request. */
const MOST_FIELDS_TOLD = 100;

const jsonParser = (limit: number) =>
  express.json({
    limit,
    type: 'application/json',
    strict: false, // whether it has to be an object is the schema's to say
    verify(_request, _response, body, charset) {
      // JSON is UTF-8 (RFC 8259 §8.1); decoding anything else would silently change what is stored.
      if (charset !== 'utf-8') throw unsupported();
      if (!isUtf8(body)) throw new ServiceError('malformed_json', 'The body is not valid UTF-8.');
    },
  });

/** Nothing is decoded: a signature is about the bytes. */
const bytesReader = (limit: number) => express.raw({ limit, type: 'application/json', inflate: false });

/** Reads the parts of a request that its endpoint describes. @throws ServiceError for anything that does not fit */
export type InputReader = (request: Request, response: Response) => RawInput | Promise<RawInput>;

/** What depends on the endpoint alone is done here, once. */
export function inputReader(schemas: RequestSchemas, largestBodyBytes = BODY_LIMIT_BYTES): InputReader {
  const { params, query, headers, body, rawBody } = schemas;
  if (rawBody !== undefined) {
    const readBytes = bytesReader(largestBodyBytes);
    return async (request, response) => {
      refuseRepeatedContentType(request);
      const bytes = await readBody(readBytes, request, response);
      return { ...parse(schemas, request, undefined), rawBody: bytes ?? Buffer.alloc(0) };
    };
  }
  if (body !== undefined) {
    const parseJson = jsonParser(largestBodyBytes);
    return async (request, response) => {
      refuseRepeatedContentType(request);
      return parse(schemas, request, await readBody(parseJson, request, response));
    };
  }
  const parameters = Object.keys(query?.shape ?? {});
  const noParameters = params === undefined && headers === undefined ? inputOfNoParameters(query) : undefined;
  return (request) => {
    refuseRepeatedContentType(request);
    if (noParameters !== undefined && !parameters.some((name) => Object.hasOwn(request.query, name))) {
      return noParameters;
    }
    return parse(schemas, request, undefined);
  };
}

/** The input of every request without parameters: the same, so that nobody may change it. Undefined when it is none. */
function inputOfNoParameters(query: z.ZodObject | undefined): RawInput | undefined {
  if (query === undefined) return Object.freeze({});
  const parsed = query.safeParse({});
  if (!parsed.success) return undefined;
  for (const value of Object.values(parsed.data)) Object.freeze(value);
  return Object.freeze({ query: Object.freeze(parsed.data) });
}

function parse(schemas: RequestSchemas, request: Request, body: unknown): RawInput {
  const problems: InvalidField[] = [];
  const input: RawInput = {};
  for (const part of ['params', 'query', 'headers', 'body'] as const) {
    const schema = schemas[part];
    if (schema === undefined) continue;
    const value = part === 'body' ? body : SENT[part](request, schemas);
    const unsafe = findUnsafeText(value);
    const parsed = unsafe === null ? parseWith(schema, value) : undefined;
    if (unsafe !== null) problems.push(unsafe);
    else if (parsed?.success) input[part] = parsed.data;
    else if (part === 'body' && body === undefined) problems.push({ pointer: '', detail: 'needs a JSON body' });
    else problems.push(...(parsed?.error.issues ?? []).flatMap(TOLD[part]));
  }
  if (problems.length > 0) throw invalidRequest(problems);
  return input;
}

/** Asked for messages of its own, zod leaves its fast way; most requests need none. */
function parseWith(schema: z.ZodType, value: unknown) {
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed : schema.safeParse(value, { error: validationMessage });
}

/** The parts of a request that need no reading, without what their schemas do not know. */
const SENT = {
  params: ({ params }: Request) => params,
  query: ({ query }: Request, schemas: RequestSchemas) =>
    known(schemas.query, (name) => (Object.hasOwn(query, name) ? query[name] : undefined)),
  headers: ({ headers }: Request, schemas: RequestSchemas) =>
    known(schemas.headers, (name) => headers[name.toLowerCase()]),
};

/** Unknown parameters and headers are ignored, whatever is in them. */
function known(schema: z.ZodObject | undefined, read: (name: string) => unknown): Record<string, unknown> {
  const sent = Object.keys(schema?.shape ?? {}).map((name) => [name, read(name)] as const);
  return Object.fromEntries(sent.filter(([, value]) => value !== undefined));
}

/** A 400 that names each field and what is wrong with it. */
export function invalidRequest(fields: readonly InvalidField[]): ServiceError {
  const first = fields[0] ?? { pointer: '', detail: 'is not valid' };
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : '';
  const subject = first.pointer === '' ? 'The request' : first.pointer.slice(1);
  return new ServiceError('invalid_request', `${subject} ${first.detail}${more}.`, {
    fields: fields.slice(0, MOST_FIELDS_TOLD),
  });
}

async function readBody(read: RequestHandler, request: Request, response: Response): Promise<unknown> {
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (!hasBody) return undefined;
  if (!request.is('application/json')) throw unsupported();
  await new Promise<void>((resolve, reject) => {
    read(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(bodyError(error))));
  });
  return request.body;
}

/** body-parser's error types, from its README. Its messages quote the body, so that none of them is passed on. */
function bodyError(error: unknown): unknown {
  if (error instanceof ServiceError) return error;
  switch ((error as { type?: unknown }).type) {
    case 'entity.parse.failed':
      return new ServiceError('malformed_json', 'The body is not valid JSON.');
    case 'entity.too.large':
      return new ServiceError('payload_too_large', `The body is larger than ${sizeOf(error as { limit: number })}.`);
    case 'charset.unsupported':
    case 'encoding.unsupported':
      return unsupported();
    default:
      return new ServiceError('invalid_request', 'The body could not be read to its end.');
  }
}

function sizeOf({ limit }: { limit: number }): string {
  return limit < 1024 * 1024 ? `${limit / 1024} KiB` : `${limit / 1024 / 1024} MiB`;
}

function unsupported(): ServiceError {
  return new ServiceError('unsupported_media_type', 'Send the body as `Content-Type: application/json`, in UTF-8.');
}

/** Node would silently keep the first. It refuses a second Content-Length by itself. */
function refuseRepeatedContentType(request: Request): void {
  if (request.headers['content-type'] !== undefined && timesSent(request, 'content-type') > 1) {
    throw invalidRequest([{ pointer: '', detail: 'has more than one Content-Type header' }]);
  }
}

/** Names below the second are the caller's own, of its metadata say, and are not sent back. Places in a list are no names. */
const NAMES_TOLD = 2;

function toldPath(path: readonly PropertyKey[]): string[] {
  let names = 0;
  const ownNames = path.findIndex((segment) => {
    if (typeof segment !== 'number') names += 1;
    return names > NAMES_TOLD;
  });
  const told = ownNames === -1 ? path : path.slice(0, ownNames);
  return told.map((segment) => `/${publicName(String(segment))}`);
}

function toFields(issue: z.core.$ZodIssue): InvalidField[] {
  const path = toldPath(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: [...path, `/${publicName(key)}`].join(''),
      detail: 'is not a known field',
    }));
  }
  return [{ pointer: path.join(''), detail: issue.message }];
}

/** A parameter that may be sent once, and was sent more often, is an array where a string is expected. */
function toParameters(issue: z.core.$ZodIssue): InvalidField[] {
  const repeated = issue.code === 'invalid_type' && issue.expected === 'string' && issue.message !== 'is required';
  return toFields(repeated ? { ...issue, message: 'must be sent once' } : issue);
}

/** A header is no field that a pointer could name; the message does. */
function toRequest({ message }: z.core.$ZodIssue): InvalidField[] {
  return [{ pointer: '', detail: message }];
}

/** How what is wrong with a part is told. */
const TOLD = { params: toFields, query: toParameters, headers: toRequest, body: toFields };
