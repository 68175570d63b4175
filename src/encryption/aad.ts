/**
 * Encodes fields as additional authenticated data. Every field is preceded by its length (32 bits, big endian),
 * so no two different lists of fields encode to the same bytes: ["ab","c"] and ["a","bc"] differ.
 *
 *     length (4) | UTF-8 bytes | length (4) | UTF-8 bytes | …
 */
export function encodeAad(fields: readonly string[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(field, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}
