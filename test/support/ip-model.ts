/** Addresses as the numbers that they are, to compare with. */
export type Family = 4 | 6;

export const bitsOf = (family: Family): number => (family === 4 ? 32 : 128);

/** @param bits 0 to 2^32 - 1 */
export function ipv4Of(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.');
}

/** With all eight groups. @param bits 0 to 2^128 - 1 */
export function ipv6Of(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => (bits >> BigInt(112 - 16 * index)) & 0xffffn);
  return groups.map((group) => group.toString(16)).join(':');
}

export interface Address {
  family: Family;
  address: bigint;
}
export interface Range extends Address {
  /** How many bits count, from the first on. */
  length: number;
}

export const addressText = ({ family, address }: Address): string => (family === 4 ? ipv4Of(address) : ipv6Of(address));

/** By any address of it. */
export const rangeText = (range: Range): string => `${addressText(range)}/${range.length}`;

export function isInRange({ family, address }: Address, range: Range): boolean {
  const rest = BigInt(bitsOf(range.family) - range.length);
  return family === range.family && address >> rest === range.address >> rest;
}

/** The first and the last address of a range, those next to them, and one in it. */
export function edgesOf({ family, address, length }: Range): Address[] {
  const rest = BigInt(bitsOf(family) - length);
  const first = (address >> rest) << rest;
  const last = first + (1n << rest) - 1n;
  const most = (1n << BigInt(bitsOf(family))) - 1n;
  return [first - 1n, first, address, last, last + 1n]
    .filter((edge) => edge >= 0n && edge <= most)
    .map((edge) => ({ family, address: edge }));
}
