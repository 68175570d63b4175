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
