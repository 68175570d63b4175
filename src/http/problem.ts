import { z } from 'zod';
import { ERROR_CODES, ServiceError } from '../errors.ts';
import { MethodNotAllowed } from './method-not-allowed.ts';
import { PROBLEMS } from './problem-catalogue.ts';

/** An answer that tells of an error, ready to be written by Express or straight to a socket. */
export interface Problem {
  status: number;
  headers: Record<string, string>;
  body: z.output<typeof problemSchema>;
}

/** RFC 9457, with `error` and `code` that callers rely on. */
export const problemSchema = z.object({
  type: z.url().meta({ description: 'Where this kind of problem is described.' }),
  title: z.string(),
  status: z.int(),
  detail: z.string().meta({ description: 'What went wrong this time, for a person to read.' }),
  error: z.string().meta({ description: 'The same as `detail`.' }),
  code: z.enum(ERROR_CODES).meta({ description: 'What went wrong, for a program to decide on.' }),
  requestId: z.string(),
  errors: z
    .array(
      z.object({
        pointer: z.string().meta({ description: 'JSON pointer to the field (RFC 6901).' }),
        detail: z.string(),
      }),
    )
    .optional()
    .meta({ description: 'Only for 400: each field that is wrong.' }),
});

/** Turns an error into what its sender may know of it: a ServiceError's public part, and of any other nothing at all. */
export function problemOf(error: unknown, requestId: string, docsUrl: string): Problem {
  const known =
    error instanceof ServiceError ? error : new ServiceError('internal_error', 'Something went wrong on our side.');
  const { code, detail, fields } = known;
  const { status, title, challenge, ...usual } = PROBLEMS[code];
  const retryAfterSeconds = known.retryAfterSeconds ?? usual.retryAfterSeconds;
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }),
      ...(known instanceof MethodNotAllowed ? { Allow: known.methods.join(', ') } : {}),
      ...(status === 401 || challenge !== undefined ? { 'WWW-Authenticate': challengeHeader(challenge) } : {}),
    },
    body: {
      type: `${docsUrl}#${code}`,
      title,
      status,
      detail,
      error: detail,
      code,
      requestId,
      ...(fields === undefined ? {} : { errors: [...fields] }),
    },
  };
}

function challengeHeader(error: string | undefined): string {
  const realm = 'Bearer realm="key-service"';
  return error === undefined ? realm : `${realm}, error="${error}"`;
}
