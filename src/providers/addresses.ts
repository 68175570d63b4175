import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Which addresses a check may connect to: those of the internet, or those of this machine. Never both. */
export type Reach = 'public' | 'loopback';

/** All of IPv6 that is given out for the internet (RFC 4291 §2.4, IANA's registry of global unicast addresses). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * What a cloud answers inside, at an address of the internet: Azure's own services, which hand out a machine's settings and
 * certificates ("What is IP address 168.63.129.16?", Azure's documentation).
 */
const CLOUD_INSIDE = '168.63.129.16';

/**
 * Whether a check may connect to an address. What no registry gives out for hosts on the internet is not public:
 * private, link-local (cloud metadata), carrier-grade NAT, multicast, documentation, and every IPv6 form that carries
 * an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo), for that address might be any of these (RFC 6890). Nor is
 * the one that leads into a cloud all the same.
 *
 * @param address as the resolver or the URL parser write it; anything else is refused
 */
export function isReachable(address: string, reach: Reach): boolean {
  const family = isIP(address);
  if (family === 0 || address === CLOUD_INSIDE) return false;
  const range = family === 4 ? ipaddr.IPv4.parse(address).range() : rangeOfIPv6(ipaddr.IPv6.parse(address));
  return range === (reach === 'public' ? 'unicast' : 'loopback');
}

function rangeOfIPv6(address: ipaddr.IPv6): string {
  const range = address.range();
  // The library calls unicast whatever it has no name for.
  return range === 'unicast' && !address.match(GLOBAL_UNICAST) ? 'reserved' : range;
}
