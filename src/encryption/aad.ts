const LENGTH_BYTES = 4;
/** What UTF-8 takes at most for a UTF-16 code unit (RFC 3629 §3): room for all of it, and it is gone through once. */
const BYTES_A_UNIT = 3;
/** The lengths of short fields, as text: as many ASCII characters as bytes. */
const SHORT_LENGTHS = Array.from({ length: 128 }, (_, length) => `\0\0\0${String.fromCharCode(length)}`);

/**
 * Encodes fields as additional authenticated data. Every field is preceded by its length (32 bits, big endian),
 * so no two different lists of fields encode to the same bytes: ["ab","c"] and ["a","bc"] differ.
 *
 *     length (4) | UTF-8 bytes | length (4) | UTF-8 bytes | …
 */
export function encodeAad(fields: readonly string[]): Buffer {
  return encodeShortAscii(fields) ?? encodeAny(fields);
}

/** What nearly all of them are: written in one piece, in a fraction of the time. Null when they are not. */
function encodeShortAscii(fields: readonly string[]): Buffer | null {
  let text = '';
  for (const field of fields) {
    const length = SHORT_LENGTHS[field.length];
    if (length === undefined) return null;
    text += length + field;
  }
  const encoded = Buffer.from(text, 'utf8');
  return encoded.length === text.length ? encoded : null;
}

function encodeAny(fields: readonly string[]): Buffer {
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
