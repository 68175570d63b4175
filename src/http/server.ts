import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Express } from 'express';
import { ServiceError } from '../errors.ts';
import { PreparedJson } from '../prepared-json.ts';
import { timesSent } from './credentials.ts';
import { bornWithPrototypesOf, type ExpressPrototypes } from './express-prototypes.ts';
import { lastOwed, whenDone } from './owed-answers.ts';
import { problemOf } from './problem.ts';
import { headerList } from './reply.ts';
import { requestIdOf } from './request-id.ts';
import { RequestState, stateOf } from './request-state.ts';

const HEADER_LIMIT_BYTES = 16 * 1024;
const HEADERS_LIMIT_MS = 10_000;
const REQUEST_LIMIT_MS = 30_000;
/** Node looks for requests over their time this often; its default of 30 s would make the limits 40 s and 60 s. */
const LIMITS_CHECKED_EVERY_MS = 1_000;
/** For the answer to be read, after a request for a tunnel. */
const REFUSED_TUNNEL_MS = 1_000;
/** Before that, for the answers to what came before it; none takes longer. */
const OWED_BEFORE_TUNNEL_MS = 2_000;
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
  server.on('request', answer);
  // An expectation that we do not know may be ignored (RFC 9110 §10.1.1); Node would answer it before we see it.
  server.on('checkExpectation', answer);
  server.on('connect', (_request, socket) => {
    // Node has let go of it: of its errors, which would end the process, and of its end, which a stop would wait for.
    socket.on('error', () => socket.destroy());
    socket.resume();
    // After the answers to what came before it: in their place it would be taken for the first of them.
    const pending = lastOwed(socket);
    const limitMs = REFUSED_TUNNEL_MS + (pending === undefined ? 0 : OWED_BEFORE_TUNNEL_MS);
    setTimeout(() => socket.destroy(), limitMs).unref();
    const refuseTunnel = () => refuseSocket(socket, refusal(undefined));
    if (pending === undefined) refuseTunnel();
    else pending.once('finish', refuseTunnel);
  });
  // The limit in bytes is enough. Node's limit in number would drop the rest unseen, a second Authorization among it.
  server.maxHeadersCount = 0;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // What goes wrong in the body of the last request is its answer; what goes wrong after it must not take its place.
    const pending = lastOwed(socket);
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else if (pending === undefined) refuseSocket(socket, refusal(error.code));
    else if (pending.headersSent || pending.req.complete) pending.once('finish', () => socket.end());
    else refuse(stateOf(pending).requestId, refusal(error.code), pending);
  });
  return server;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    if (isProper(request)) {
      app(request, response);
    } else {
      whenDone(response, request.socket, () => {});
      refuse(requestIdOf(request), refusal(undefined), response);
    }
  }

  /** Answers a request that the app has not seen, or has not answered and now cannot. */
  function refuse(requestId: string, error: ServiceError, response: ServerResponse): void {
    const { status, text, headers } = lastAnswer(requestId, error);
    response.writeHead(status, headers).end(text);
  }

  /** Where Node has given up on the parser there is no response to write to, only the connection. */
  function refuseSocket(socket: Duplex, error: ServiceError): void {
    const { status, text, headers } = lastAnswer(randomUUID(), error);
    const lines = headers.map((part, index) => (index % 2 === 0 ? `${part}: ` : `${part}\r\n`));
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`);
  }

  /** A problem after which the connection closes. */
  function lastAnswer(requestId: string, error: ServiceError) {
    const { status, headers, body } = problemOf(error, requestId, errorDocsUrl);
    onRefused(status);
    const { text, bytes } = new PreparedJson(body);
    return { status, text, headers: headerList(new RequestState(requestId, true), bytes, headers) };
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
