import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { ServiceError } from '../errors.ts';
import { problemOf } from './problem.ts';

const HEADER_LIMIT_BYTES = 16 * 1024;
const HEADERS_LIMIT_MS = 10_000;
const REQUEST_LIMIT_MS = 30_000;
/** Node looks for requests over their time this often; its default of 30 s would make the limits 40 s and 60 s. */
const LIMITS_CHECKED_EVERY_MS = 1_000;
/** Longer than the usual 60 s of load balancers, so that it is they who close an idle connection. */
const KEEP_ALIVE_MS = 65_000;

/** Node's HTTP server with our limits, which answers what never becomes a request with a problem as well. */
export function createHttpServer(app: RequestListener, errorDocsUrl: string): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADER_LIMIT_BYTES,
      headersTimeout: HEADERS_LIMIT_MS,
      requestTimeout: REQUEST_LIMIT_MS,
      connectionsCheckingInterval: LIMITS_CHECKED_EVERY_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    app,
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuse(error, socket, errorDocsUrl));
  return server;
}

function refuse(error: NodeJS.ErrnoException, socket: Duplex, errorDocsUrl: string): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const id = randomUUID();
  const { status, headers, body } = problemOf(refusal(error.code), id, errorDocsUrl);
  const text = JSON.stringify(body);
  const lines = Object.entries({
    ...headers,
    'X-Request-Id': id,
    'Content-Length': String(Buffer.byteLength(text)),
    Connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`);
}

function refusal(code: string | undefined): ServiceError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ServiceError('headers_too_large', `The headers are larger than ${HEADER_LIMIT_BYTES / 1024} KiB.`);
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ServiceError('request_timeout', 'The request did not arrive in time.');
    default:
      return new ServiceError('invalid_request', 'This is not a valid HTTP request.');
  }
}
