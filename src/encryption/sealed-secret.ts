import { encodeAad } from './aad.ts';
import { decrypt, encrypt, IV_BYTES, TAG_BYTES } from './aes-gcm.ts';
import { DecryptionError } from './decryption-error.ts';
import { UUID_BYTES, uuidFromBytes, uuidToBytes } from './uuid-bytes.ts';

/*
 * A sealed secret, as it rests in a bytea column:
 *
 *      0        1                17          29          45
 *     ┌─────────┬────────────────┬───────────┬───────────┬──────────────┐
 *     │ version │  data key id   │    IV     │    tag    │  ciphertext  │
 *     │ 1 byte  │ 16 bytes, UUID │ 12 bytes  │ 16 bytes  │  the rest    │
 *     └─────────┴────────────────┴───────────┴───────────┴──────────────┘
 *
 * The header needs no protection of its own: another data key id names another key, another version has other AAD,
 * and neither opens. AAD (see aad.ts): purpose, version, organisation, provider, row, secret version.
 */
const VERSION = 1;
const DATA_KEY_AT = 1;
const IV_AT = DATA_KEY_AT + UUID_BYTES;
const TAG_AT = IV_AT + IV_BYTES;
const CIPHERTEXT_AT = TAG_AT + TAG_BYTES;

/** A key that seals the secrets of one organisation, or those of none; `id` is a UUID, `key` 32 bytes. */
export interface DataKey {
  id: string;
  key: Buffer;
}

/** The one place where a sealed secret may be opened again. Any other place, and it does not open. */
export interface SecretPlace {
  /** A provider's key, an organisation's own or the platform's; an API key of this service; or what a request was answered. */
  purpose: 'provider-key' | 'platform-key' | 'api-key' | 'idempotent-reply';
  /** null where it belongs to no organisation. */
  organizationId: string | null;
  /** '' for what is of no provider. */
  provider: string;
  /** The row that holds it: a UUID, or what it is known by in hexadecimal. */
  rowId: string;
  /** Counts from 1; never reused within a row. 1 for what never changes. */
  secretVersion: number;
}

/** Seals UTF-8 text for one place. Sealing the same text twice gives different bytes. */
export function seal(dataKey: DataKey, place: SecretPlace, secret: string): Buffer {
  const { iv, tag, ciphertext } = encrypt(dataKey.key, Buffer.from(secret, 'utf8'), placeAad(place));
  return Buffer.concat([Buffer.of(VERSION), uuidToBytes(dataKey.id), iv, tag, ciphertext]);
}

/**
 * Opens what `seal` made for the same place.
 *
 * @throws DecryptionError with the reason; see there
 */
export function open(dataKey: DataKey, place: SecretPlace, sealed: Buffer): string {
  return opener(place, sealed)(dataKey);
}

/**
 * The same for what is opened again and again: all but the decryption is done once, and neither the text nor the data key
 * is kept.
 *
 * @throws DecryptionError `malformed` at once, `wrong_key` or `not_authentic` when it is called
 */
export function opener(place: SecretPlace, sealed: Buffer): (dataKey: DataKey) => string {
  const sealer = sealedWith(sealed);
  const encrypted = {
    iv: sealed.subarray(IV_AT, TAG_AT),
    tag: sealed.subarray(TAG_AT, CIPHERTEXT_AT),
    ciphertext: sealed.subarray(CIPHERTEXT_AT),
  };
  const aad = placeAad(place);
  return ({ id, key }) => {
    if (id !== sealer) throw new DecryptionError('wrong_key');
    return decrypt(key, encrypted, aad).toString('utf8');
  };
}

/**
 * The id of the data key that a secret was sealed with, read from its header.
 *
 * @throws DecryptionError `malformed` when it is too short or of an unknown version
 */
export function sealedWith(sealed: Buffer): string {
  if (sealed.length < CIPHERTEXT_AT || sealed[0] !== VERSION) throw new DecryptionError('malformed');
  return uuidFromBytes(sealed.subarray(DATA_KEY_AT, IV_AT));
}

function placeAad(place: SecretPlace): Buffer {
  return encodeAad([
    place.purpose,
    String(VERSION),
    place.organizationId ?? '',
    place.provider,
    place.rowId,
    String(place.secretVersion),
  ]);
}
