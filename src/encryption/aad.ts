const LENGTH_BYTES = 4;

/**
 * Encodes fields as additional authenticated data. Every field is preceded by its length (32 bits, big endian),
 * so no two different lists of fields encode to the same bytes: ["ab","c"] and ["a","bc"] differ.
 *
 *     length (4) | UTF-8 bytes | length (4) | UTF-8 bytes | …
 */
export function encodeAad(fields: readonly string[]): Buffer {
  const sizes = fields.map((field) => Buffer.byteLength(field, 'utf8'));
  const encoded = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + LENGTH_BYTES + size, 0));
  let at = 0;
  for (const [index, field] of fields.entries()) {
    at = encoded.writeUInt32BE(sizes[index] ?? 0, at);
    at += encoded.write(field, at, 'utf8');
  }
  return encoded;
}
