import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import type { RequestOrigin } from '../caller.ts';
import { normalAddress } from '../ip-address.ts';

type Seen = Pick<RequestOrigin, 'address' | 'addressIsClients'>;

/** The other end of the connection: a client, or whatever stands between. */
export function peerAddress({ socket: { remoteAddress } }: IncomingMessage): string | null {
  if (remoteAddress === undefined) return null;
  if (!remoteAddress.includes(':')) return remoteAddress;
  // The system writes IPv6 in the normal form, but for a zone and for IPv4 in it.
  return /[.%]/.test(remoteAddress) ? normalAddress(remoteAddress) : remoteAddress;
}

/**
 * The address as Express's `trust proxy` sees it: of `X-Forwarded-For`, read from its end, the first that no trusted proxy
 * has. That is the client's. Where the header ends before, or was not sent, it is the address of a proxy.
 */
export function forwardedAddress(request: Request): Seen {
  const { ips } = request;
  const [furthest] = ips;
  const address = furthest === undefined ? peerAddress(request) : normalAddress(furthest);
  if (address === null) return { address, addressIsClients: false };
  const isTrusted: (address: string, hop: number) => boolean = request.app.get('trust proxy fn');
  return { address, addressIsClients: !isTrusted(address, ips.length) };
}
