import { normalRange } from '../ip-address.ts';

/** What Express's `trust proxy` takes: how many proxies there are, or which ones. */
export type TrustProxy = number | string[];

/** proxy-addr's names for the loopback, link-local and private ranges. */
const NAMES = ['loopback', 'linklocal', 'uniquelocal'];
const MOST_PROXIES = 32;

/** @returns null for what may not be trusted: everything, or what is neither a number, nor an address, nor a name */
export function readTrustProxy(text: string): TrustProxy | null {
  if (/^\d+$/.test(text)) {
    const proxies = Number(text);
    return proxies >= 1 && proxies <= MOST_PROXIES ? proxies : null;
  }
  const ranges = text.split(',').map((part) => {
    const range = part.trim();
    return NAMES.includes(range) ? range : normalRange(range);
  });
  // Whoever trusts every address believes a header that anybody can send.
  const isGood = (range: string | null) => range !== null && !range.endsWith('/0');
  return ranges.every(isGood) ? ranges.filter((range) => range !== null) : null;
}

export const TRUST_PROXY_PROBLEM =
  `must be the number of proxies, 1 to ${MOST_PROXIES}, or their addresses: CIDR ranges, single addresses, ` +
  `${NAMES.join(', ')}, with commas between; never all addresses, for then anybody could name any`;
