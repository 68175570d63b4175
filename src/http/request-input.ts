import type { Request, Response } from 'express';
import type { z } from 'zod';
import { type InvalidField, invalidRequest } from '../errors.ts';
import type { RawInput, RequestSchemas } from './endpoint.ts';
import { TOLD } from './invalid-fields.ts';
import { bytesReader, jsonParser, readBody, refuseRepeatedContentType } from './request-body.ts';
import { findUnsafeText } from './safe-text.ts';
import { validationMessage } from './validation-messages.ts';

const BODY_LIMIT_BYTES = 64 * 1024;

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
