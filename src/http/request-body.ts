import { isUtf8 } from 'node:buffer';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { invalidRequest, ServiceError } from '../errors.ts';
import { timesSent } from './credentials.ts';

export const jsonParser = (limit: number) =>
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
export const bytesReader = (limit: number) => express.raw({ limit, type: 'application/json', inflate: false });

/** Undefined where there is none. @throws ServiceError */
export async function readBody(read: RequestHandler, request: Request, response: Response): Promise<unknown> {
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
export function refuseRepeatedContentType(request: Request): void {
  if (request.headers['content-type'] !== undefined && timesSent(request, 'content-type') > 1) {
    throw invalidRequest([{ pointer: '', detail: 'has more than one Content-Type header' }]);
  }
}
