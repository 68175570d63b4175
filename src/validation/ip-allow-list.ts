import ipaddr from 'ipaddr.js';
import { normalRange } from '../ip-address.ts';

type Range = [first: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

/** A range, its text with it, takes about so much memory. */
const RANGE_BYTES = 384;

/** Where a key may be used from. */
export class IpAllowList {
  readonly #ranges: readonly string[];
  /** Made for the first address: many a list is never asked. */
  #parsed: Range[] | null = null;

  constructor(ranges: readonly string[]) {
    this.#ranges = ranges;
  }

  /** @param address in the normal form; null, where it is not known, is in no list */
  allows(address: string | null): boolean {
    if (address === null) return false;
    this.#parsed ??= this.#ranges.flatMap(parse);
    const asked = ipaddr.parse(address);
    return this.#parsed.some(([first, bits]) => first.kind() === asked.kind() && asked.match(first, bits));
  }

  /** What it takes in memory, in bytes. */
  get size(): number {
    return RANGE_BYTES * (this.#ranges.length + 1);
  }
}

/** Nothing for what is no range: somebody has written it past the service. */
function parse(text: string): Range[] {
  const range = normalRange(text);
  if (range === null) return [];
  const [address = '', bits] = range.split('/');
  const first = ipaddr.parse(address);
  return [[first, bits === undefined ? 8 * first.toByteArray().length : Number(bits)]];
}
