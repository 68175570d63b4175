import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import type { RequestOrigin } from '../caller.ts';
import { forwardedAddress, peerAddress } from './peer-address.ts';

/** The headers by which a caller may say who it is, or who asks it. */
export type CredentialHeader =
  | 'authorization'
  | 'x-service-key'
  | 'x-api-key'
  | 'x-client-ip'
  | 'svix-id'
  | 'svix-timestamp'
  | 'svix-signature';

/** What a request shows of its sender, before anyone has judged it. */
export interface Credentials {
  origin: RequestOrigin;
  /**
   * The value of a header, trimmed; undefined when it was not sent, null when it was sent more than once. Node keeps the
   * first or joins them, either of which would let two readers of one request see two callers.
   */
  header(name: CredentialHeader): string | null | undefined;
}

/** @param trustsProxies whether there are proxies whose word is taken for where a request comes from */
export function credentialsOf(request: Request, requestId: string, trustsProxies: boolean): Credentials {
  return {
    origin: trustsProxies
      ? { requestId, ...forwardedAddress(request) }
      : { requestId, address: peerAddress(request), addressIsClients: false },
    header: (name) => singleHeader(request, name),
  };
}

function singleHeader(request: IncomingMessage, name: CredentialHeader): string | null | undefined {
  const value = request.headers[name];
  if (value === undefined) return undefined;
  return timesSent(request, name) > 1 ? null : String(value).trim();
}

/** How often a header stands in the request as it came over the wire. */
export function timesSent(request: IncomingMessage, name: string): number {
  const { rawHeaders } = request;
  let times = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const sent = rawHeaders[index];
    // Lengths first: this is asked several times in every request, and few names are as long.
    if (sent?.length === name.length && sent.toLowerCase() === name) times += 1;
  }
  return times;
}

/** The token of `Bearer <token>`, whatever the case of the scheme (RFC 9110 §11.1); undefined for any other scheme. */
export function bearerToken(authorization: string): string | undefined {
  const match = /^bearer(?:\s+(.*))?$/i.exec(authorization);
  return match?.[1]?.trim() || undefined;
}
