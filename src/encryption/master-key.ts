import { createHmac } from 'node:crypto';
import { encodeAad } from './aad.ts';
import { decrypt, encrypt, IV_BYTES, KEY_BYTES, TAG_BYTES } from './aes-gcm.ts';
import { DecryptionError } from './decryption-error.ts';

/*
 * A wrapped data key, as the master key from the environment writes it:
 *
 *      0        1           13          29
 *     ┌─────────┬───────────┬───────────┬──────────────────────┐
 *     │ version │    IV     │    tag    │ encrypted data key   │
 *     │ 1 byte  │ 12 bytes  │ 16 bytes  │ 32 bytes             │
 *     └─────────┴───────────┴───────────┴──────────────────────┘
 *
 * AAD: purpose, version, master key id, data key id, what the data key is for, whose it is.
 */
const VERSION = 1;
const IV_AT = 1;
const TAG_AT = IV_AT + IV_BYTES;
const CIPHERTEXT_AT = TAG_AT + TAG_BYTES;
const WRAPPED_BYTES = CIPHERTEXT_AT + KEY_BYTES;

/** 64 bits tell master keys apart; nobody attacks a name. */
const FINGERPRINT_BYTES = 8;

/** Which data key is wrapped: bound into the wrapping, so that a row cannot take another row's place. */
export interface DataKeyIdentity {
  id: string;
  purpose: 'organization' | 'system' | 'audit';
  /** null for the keys that belong to no organisation. */
  organizationId: string | null;
}

/** The key-encryption key: wraps data keys and nothing else. It may be far away, so that both take their time. */
export interface MasterKey {
  /** What rows name it by: a fingerprint, or the name that its keeper knows it by. Safe to print and to store. */
  readonly id: string;
  /** @throws MasterKeyUnavailable */
  wrap(identity: DataKeyIdentity, dataKey: Buffer): Promise<Buffer>;
  /**
   * @throws DecryptionError when it was wrapped by another key, for another identity, or altered
   * @throws MasterKeyUnavailable
   */
  unwrap(identity: DataKeyIdentity, wrapped: Buffer): Promise<Buffer>;
}

/** A master key that is given as it is: 32 bytes. */
export function masterKeyFromBytes(key: Buffer): MasterKey {
  const id = fingerprint(key);
  return {
    id,
    async wrap(identity, dataKey) {
      const { iv, tag, ciphertext } = encrypt(key, dataKey, wrappingAad(id, identity));
      return Buffer.concat([Buffer.of(VERSION), iv, tag, ciphertext]);
    },
    async unwrap(identity, wrapped) {
      if (wrapped.length !== WRAPPED_BYTES || wrapped[0] !== VERSION) throw new DecryptionError('malformed');
      const encrypted = {
        iv: wrapped.subarray(IV_AT, TAG_AT),
        tag: wrapped.subarray(TAG_AT, CIPHERTEXT_AT),
        ciphertext: wrapped.subarray(CIPHERTEXT_AT),
      };
      return decrypt(key, encrypted, wrappingAad(id, identity));
    },
  };
}

/** A keyed hash under a label of its own: it tells which key this is and nothing about the key. */
function fingerprint(key: Buffer): string {
  const mac = createHmac('sha256', key).update('key-service master key fingerprint v1').digest();
  return mac.subarray(0, FINGERPRINT_BYTES).toString('hex');
}

function wrappingAad(masterKeyId: string, { id, purpose, organizationId }: DataKeyIdentity): Buffer {
  return encodeAad(['data-key', String(VERSION), masterKeyId, id, purpose, organizationId ?? '']);
}
