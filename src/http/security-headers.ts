import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';

/** Keeps what is set, with the names as they were written; a response gives them back in lower case. */
class HeaderRecorder extends ServerResponse {
  readonly list: string[] = [];

  override setHeader(name: string, value: number | string | readonly string[]): this {
    this.list.push(name, String(value));
    return this;
  }
}

function headersSetBy(middleware: ReturnType<typeof helmet>): string[] {
  const request = new IncomingMessage(new Socket());
  const response = new HeaderRecorder(request);
  middleware(request, response, (error) => {
    if (error !== undefined) throw error;
  });
  return response.list;
}

/*
 * Helmet's headers, a name and a value in turn, as `writeHead` takes them. They are the same for every answer, so helmet is
 * asked once and not in every request.
 */

/**
 * Of a page: all that helmet has. The service speaks plain HTTP behind whatever terminates TLS; upgrading would break
 * /docs where nothing does.
 */
export const pageHeaders: readonly string[] = headersSetBy(
  helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } }),
);

/**
 * Of JSON, which no browser shows: what the OWASP REST Security Cheat Sheet asks of an API, and no referrer. The rest of
 * helmet's is about documents, and Node checks and writes each header anew for every answer (docs/decisions/0027).
 */
export const securityHeaders: readonly string[] = headersSetBy(
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    frameguard: { action: 'deny' },
    crossOriginOpenerPolicy: false,
    crossOriginResourcePolicy: false,
    originAgentCluster: false,
    dnsPrefetchControl: false,
    ieNoOpen: false,
    permittedCrossDomainPolicies: false,
    xssFilter: false,
  }),
);
