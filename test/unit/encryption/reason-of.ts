import { DecryptionError, type DecryptionFailure } from '../../../src/encryption/decryption-error.ts';

/** Why something did not open; null when it opened. Any other error than a DecryptionError is the test's failure. */
export function reasonOf(attempt: () => unknown): DecryptionFailure | null {
  try {
    attempt();
    return null;
  } catch (error) {
    if (error instanceof DecryptionError) return error.reason;
    throw error;
  }
}

/** The same of what takes its time. */
export async function reasonOfLater(attempt: () => Promise<unknown>): Promise<DecryptionFailure | null> {
  let failure: unknown;
  await attempt().catch((error: unknown) => {
    failure = error;
  });
  return reasonOf(() => {
    if (failure !== undefined) throw failure;
  });
}

/** A copy with one bit turned over. */
export function flipBit(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return copy;
}
