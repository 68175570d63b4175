const LENGTH_BYTES = 4;
/** What UTF-8 takes at most for a UTF-16 code unit (RFC 3629 §3): room for all of it, and it is gone through once. */
const BYTES_A_UNIT = 3;

/**
 * Encodes fields as additional authenticated data. Every field is preceded by its length (32 bits, big endian),
 * so no two different lists of fields encode to the same bytes: ["ab","c"] and ["a","bc"] differ.
 *
 *     length (4) | UTF-8 bytes | length (4) | UTF-8 bytes | …
 */
export function encodeAad(fields: readonly string[]): Buffer {
  let most = 0;
  for (const { length } of fields) most += LENGTH_BYTES + length * BYTES_A_UNIT;
  const encoded = Buffer.allocUnsafe(most);
  let at = 0;
  for (const field of fields) {
    const length = encoded.write(field, at + LENGTH_BYTES, 'utf8');
    at = encoded.writeUInt32BE(length, at) + length;
  }
  return encoded.subarray(0, at);
}
