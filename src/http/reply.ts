import type { Response } from 'express';
import { PreparedJson } from '../prepared-json.ts';
import type { Problem } from './problem.ts';

/** Writes JSON without Express's detours: no ETag, no content negotiation, one write. */
export function sendJson(
  response: Response,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  // The server has answered already: the request did not arrive in time, or its body was no HTTP.
  if (response.headersSent) return;
  const text = body instanceof PreparedJson ? body.text : JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

export function sendProblem(response: Response, { status, headers, body }: Problem): void {
  sendJson(response, status, body, headers);
}
