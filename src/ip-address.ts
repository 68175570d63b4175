import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** With a port, or in the brackets that keep IPv6 and a port apart (RFC 3986 §3.2.2): `192.0.2.1:443`, `[2001:db8::1]:443`. */
const BRACKETED = /^\[([^\]]*)\](?::\d{1,5})?$/;
const DOTTED = /^([\d.]+):\d{1,5}$/;

/**
 * An IP address in the one form in which it is compared and recorded: IPv4 with dots, IPv6 as RFC 5952 writes it, an IPv4
 * address in IPv6 clothes (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) as the IPv4 address that it is. A port and a zone
 * (`fe80::1%eth0`, RFC 4007) are no part of it. Null for what is no address.
 */
export function normalAddress(text: string): string | null {
  const address = DOTTED.exec(text)?.[1] ?? text;
  if (isIPv4(address)) return address;
  const bare = BRACKETED.exec(text)?.[1] ?? text;
  if (!isIPv6(bare)) return null;
  const parsed = parseIPv6(bare.replace(/%.*$/, ''));
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String();
}

/** An address, and how many bits of it count; without that all of them. */
const RANGE = /^([\da-f.:]+)(?:\/(0|[1-9]\d{0,2}))?$/i;
/** In IPv6, the bits before an IPv4 address. */
const MAPPED_BITS = 96;

/**
 * A range of addresses, CIDR (RFC 4632) or a single address, in one form: the address is the first of the range, a single
 * one has no length. Null for what is neither.
 */
export function normalRange(text: string): string | null {
  const [, address = '', length] = RANGE.exec(text) ?? [];
  if (isIPv4(address)) return rangeOfIPv4(address, Number(length ?? 32));
  if (!isIPv6(address)) return null;
  const bits = Number(length ?? 128);
  const parsed = parseIPv6(address);
  if (parsed.isIPv4MappedAddress() && bits >= MAPPED_BITS) {
    return rangeOfIPv4(parsed.toIPv4Address().toString(), bits - MAPPED_BITS);
  }
  if (bits > 128) return null;
  const first = ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toNormalizedString()}/${bits}`).toRFC5952String();
  return bits === 128 ? first : `${first}/${bits}`;
}

/**
 * The network of whoever has an address, as text: of IPv6 a /64, the smallest that anybody is given, with more addresses in it
 * than can be counted (RFC 4291 §2.5.1, RFC 6177); of IPv4 the address. @param address in the normal form
 */
export function networkOf(address: string): string {
  return address.includes(':') ? String(normalRange(`${address}/64`)) : address;
}

/** The library takes `::192.0.2.1` for a mapped address; it is the same as `::c000:201` (RFC 4291 §2.5.5.1). */
function parseIPv6(address: string): ipaddr.IPv6 {
  return ipaddr.IPv6.parse(address.replace(/^::(?=\d+\.)/, '0:0:0:0:0:0:'));
}

function rangeOfIPv4(address: string, bits: number): string | null {
  if (bits > 32) return null;
  const first = ipaddr.IPv4.networkAddressFromCIDR(`${address}/${bits}`).toString();
  return bits === 32 ? first : `${first}/${bits}`;
}
