const LENGTH_BYTES = 4;

/**
 * Encodes fields as additional authenticated data. Every field is preceded by its length (32 bits, big endian),
 * so no two different lists of fields encode to the same bytes: ["ab","c"] and ["a","bc"] differ.
 *
 *     length (4) | UTF-8 bytes | length (4) | UTF-8 bytes | …
 */
export function encodeAad(fields: readonly string[]): Buffer {
  const bytes = fields.reduce((sum, field) => sum + LENGTH_BYTES + Buffer.byteLength(field, 'utf8'), 0);
  const encoded = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const field of fields) {
    const length = encoded.write(field, at + LENGTH_BYTES, 'utf8');
    at = encoded.writeUInt32BE(length, at) + length;
  }
  return encoded;
}
