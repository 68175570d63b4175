import type { ServerResponse } from 'node:http';
import { PreparedJson } from '../prepared-json.ts';
import { REPLAYED } from './idempotency-key.ts';
import { endTogether } from './outbox.ts';
import type { Problem } from './problem.ts';
import { type RequestState, stateOf } from './request-state.ts';
import { pageHeaders, securityHeaders } from './security-headers.ts';

const CACHE_CONTROL = 'Cache-Control';
const CONTENT_TYPE = 'Content-Type';
/** What an answer says of itself unless it says otherwise. */
const USUAL = { [CACHE_CONTROL]: 'no-store', [CONTENT_TYPE]: 'application/json; charset=utf-8' };
const USUAL_LIST: readonly string[] = [...securityHeaders, ...Object.entries(USUAL).flat()];

/**
 * The one writer of answers: a status, a list of headers, a text. Not `response.json` with `setHeader` before it, which
 * keeps a table of headers to no end and asks for the answer's ETag and charset each time.
 */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers?: Record<string, string>,
): void {
  // The server has answered already: the request did not arrive in time, or its body was no HTTP.
  if (response.headersSent) return;
  const { text, bytes } = body instanceof PreparedJson ? body : new PreparedJson(body);
  response.writeHead(status, headerList(stateOf(response), bytes, headers));
  // ASCII is the same bytes in both, and Node writes Latin-1 in a fraction of the time.
  endTogether(response, text, bytes === text.length ? 'latin1' : 'utf8');
}

export function sendProblem(response: ServerResponse, { status, headers, body }: Problem): void {
  sendJson(response, status, body, headers);
}

/** All headers of an answer, a name and a value in turn. */
export function headerList(
  { requestId, closesConnection, admissionHeaders, isReplayed }: RequestState,
  bytes: number,
  headers?: Record<string, string>,
): string[] {
  const list =
    headers === undefined ? [...USUAL_LIST] : [...securityHeaders, ...Object.entries({ ...USUAL, ...headers }).flat()];
  list.push('X-Request-Id', requestId, 'Content-Length', String(bytes));
  if (admissionHeaders !== null) list.push(...admissionHeaders);
  if (closesConnection) list.push('Connection', 'close');
  if (isReplayed) list.push(REPLAYED, 'true');
  return list;
}

/** The headers of what others write: the files of the documentation's page. */
export function setPageHeaders(response: ServerResponse, headers: Record<string, string>): void {
  const { requestId, closesConnection } = stateOf(response);
  for (let index = 0; index < pageHeaders.length; index += 2) {
    response.setHeader(String(pageHeaders[index]), String(pageHeaders[index + 1]));
  }
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('X-Request-Id', requestId);
  if (closesConnection) response.setHeader('Connection', 'close');
}
