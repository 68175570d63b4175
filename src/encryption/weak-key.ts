/**
 * 32 random bytes have about 30 distinct values; fewer than 16 happens less than once in 10^15 keys
 * (C(256,15) · (15/256)^32). Anything repeated, typed or copied from a pattern falls below it.
 */
const FEWEST_DISTINCT_BYTES = 16;

/**
 * Says why a master key must not protect anything real, or null when nothing speaks against it. That no document
 * of this project holds a value someone could copy is a test of its own (test/unit/documents.test.ts).
 */
export function weakness(key: Buffer): string | null {
  const steps = new Set(key.subarray(1).map((byte, index) => byte - key.readUInt8(index)));
  if (steps.size <= 1) return 'its bytes are all equal, or count up or down';
  if (new Set(key).size < FEWEST_DISTINCT_BYTES) return 'it repeats a pattern';
  return null;
}
