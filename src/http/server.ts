import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Express } from 'express';
import { ServiceError } from '../errors.ts';
import { timesSent } from './credentials.ts';
import { bornWithPrototypesOf, type ExpressPrototypes } from './express-prototypes.ts';
import { problemOf } from './problem.ts';

const HEADER_LIMIT_BYTES = 16 * 1024;
const HEADERS_LIMIT_MS = 10_000;
const REQUEST_LIMIT_MS = 30_000;
/** Node looks for requests over their time this often; its default of 30 s would make the limits 40 s and 60 s. */
const LIMITS_CHECKED_EVERY_MS = 1_000;
/** Longer than the usual 60 s of load balancers, so that it is they who close an idle connection. */
const KEEP_ALIVE_MS = 65_000;

export interface HttpServerOptions {
  errorDocsUrl: string;
  /** Told the status of every answer to something that never became a request. */
  onRefused: (status: number) => void;
  expressPrototypes: ExpressPrototypes;
}

/** Node's HTTP server with our limits, which answers what never becomes a request with a problem as well. */
export function createHttpServer(
  app: Express,
  { errorDocsUrl, onRefused, expressPrototypes }: HttpServerOptions,
): Server {
  const server = createServer({
    ...(expressPrototypes === 'at-birth' ? bornWithPrototypesOf(app) : {}),
    requireHostHeader: false, // isProper looks
    maxHeaderSize: HEADER_LIMIT_BYTES,
    headersTimeout: HEADERS_LIMIT_MS,
    requestTimeout: REQUEST_LIMIT_MS,
    connectionsCheckingInterval: LIMITS_CHECKED_EVERY_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  /**
   * The request that each connection waits for the answer to. What goes wrong in its own body is its answer; what goes
   * wrong after it must not take its answer's place.
   */
  const answering = new WeakMap<Duplex, ServerResponse>();
  server.on('request', answer);
  // An expectation that we do not know may be ignored (RFC 9110 §10.1.1); Node would answer it before we see it.
  server.on('checkExpectation', answer);
  server.on('connect', (_request, socket) => refuseSocket(socket, refusal(undefined)));
  // The limit in bytes is enough. Node's limit in number would drop the rest unseen, a second Authorization among it.
  server.maxHeadersCount = 0;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const pending = answering.get(socket);
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else if (pending === undefined) refuseSocket(socket, refusal(error.code));
    else if (pending.headersSent || pending.req.complete) pending.once('finish', () => socket.end());
    else refuseResponse(pending, refusal(error.code));
  });
  return server;

  function answer(request: IncomingMessage, response: ServerResponse & { req: IncomingMessage }): void {
    answering.set(request.socket, response);
    response.once('close', () => {
      // A pipelined request may be waiting behind this one.
      if (answering.get(request.socket) === response) answering.delete(request.socket);
    });
    if (isProper(request)) app(request, response);
    else refuseResponse(response, refusal(undefined));
  }

  function refuseResponse(response: ServerResponse, error: ServiceError): void {
    const known = response.getHeader('X-Request-Id');
    const { status, headers, text } = problemText(error, typeof known === 'string' ? known : undefined);
    response.writeHead(status, { ...headers, Connection: 'close' }).end(text);
  }

  /** Where Node has given up on the parser there is no response to write to, only the connection. */
  function refuseSocket(socket: Duplex, error: ServiceError): void {
    const { status, headers, text } = problemText(error);
    const lines = Object.entries({ ...headers, Connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`);
  }

  function problemText(error: ServiceError, id: string = randomUUID()) {
    const { status, headers, body } = problemOf(error, id, errorDocsUrl);
    const text = JSON.stringify(body);
    onRefused(status);
    return {
      status,
      headers: { ...headers, 'X-Request-Id': id, 'Content-Length': `${Buffer.byteLength(text)}` },
      text,
    };
  }
}

/**
 * What Node and Express would answer in their own way, or guess at: an HTTP/1.1 request without a Host or with two (RFC
 * 9112 §3.2), and a target that is no path and no HTTP URL.
 */
function isProper(request: IncomingMessage): boolean {
  const { httpVersion, url = '' } = request;
  const hosts = timesSent(request, 'host');
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) return false;
  return url.startsWith('/') || url === '*' || (/^https?:\/\//i.test(url) && URL.canParse(url));
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
