import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { DecryptionError } from './decryption-error.ts';

/** AES-256: 32-byte keys. */
export const KEY_BYTES = 32;
/** 96 bits, the only IV length for which GCM needs no extra hashing (NIST SP 800-38D §5.2.1.1). */
export const IV_BYTES = 12;
/** 128 bits, the full tag. Without `authTagLength` Node accepts tags cut down to 4 bytes. */
export const TAG_BYTES = 16;

const ALGORITHM = 'aes-256-gcm';
const TAG_LENGTH = { authTagLength: TAG_BYTES } as const;

/** What one encryption yields; `ciphertext` is as long as the plaintext. */
export interface Encrypted {
  iv: Buffer;
  tag: Buffer;
  ciphertext: Buffer;
}

/**
 * Encrypts with a fresh random IV. One key may encrypt at most 2^32 messages this way (NIST SP 800-38D §8.3);
 * whoever holds the key counts.
 *
 * @param iv only for tests against published vectors
 * @throws RangeError when the key is not 32 bytes or the IV not 12
 */
export function encrypt(key: Buffer, plaintext: Buffer, aad: Buffer, iv: Buffer = randomBytes(IV_BYTES)): Encrypted {
  requireBytes('key', key, KEY_BYTES);
  requireBytes('IV', iv, IV_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, iv, TAG_LENGTH);
  cipher.setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { iv, tag: cipher.getAuthTag(), ciphertext };
}

/**
 * Decrypts and authenticates.
 *
 * @throws DecryptionError `not_authentic` when key, AAD, tag or ciphertext is not the one that it was encrypted with
 * @throws RangeError when key, IV or tag has the wrong length
 */
export function decrypt(key: Buffer, { iv, tag, ciphertext }: Encrypted, aad: Buffer): Buffer {
  requireBytes('key', key, KEY_BYTES);
  requireBytes('IV', iv, IV_BYTES);
  requireBytes('tag', tag, TAG_BYTES);
  const decipher = createDecipheriv(ALGORITHM, key, iv, TAG_LENGTH);
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    // GCM is a stream mode: everything came out of update(), final() only checks the tag.
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw new DecryptionError('not_authentic');
  }
  return plaintext;
}

function requireBytes(name: string, value: Buffer, bytes: number): void {
  if (value.length !== bytes) throw new RangeError(`AES-256-GCM needs a ${bytes}-byte ${name}`);
}
