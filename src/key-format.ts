import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/*
 * A key that this service issues:
 *
 *     ks_live_<43 characters base62><6 characters base62>
 *     │  │     │                     └ CRC-32 of everything before it
 *     │  │     └ 256 random bits
 *     │  └ kind: live or test, the environment of an API key; or service, for a service key
 *     └ prefix, API_KEY_PREFIX
 *
 * The checksum lets scanners and this service tell a mistyped or made-up key from a real one without any look-up.
 */
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_BYTES = 32;
/** 62^43 > 2^256 */
const SECRET_CHARACTERS = 43;
/** 62^6 > 2^32 */
const CHECKSUM_CHARACTERS = 6;
const RANDOM_PART = `[0-9A-Za-z]{${SECRET_CHARACTERS + CHECKSUM_CHARACTERS}}`;
/** How much of the secret part is kept to recognise a key by, at each end. */
const SHOWN_CHARACTERS = 4;

export const ENVIRONMENTS = ['live', 'test'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

const SERVICE = 'service';
export type KeyKind = Environment | typeof SERVICE;
/** With whatever prefix was set when it was issued; config/variables.ts says what a prefix may be. */
const SERVICE_KEY = new RegExp(`^[a-z][a-z0-9]{0,15}_${SERVICE}_${RANDOM_PART}$`);

/** A key that was just made, and what may be kept of it. */
export interface NewKey {
  /** The whole key. Shown once, never stored. */
  key: string;
  /** SHA-256 of the whole key, 32 bytes. */
  hash: Buffer;
  /** The readable start: prefix, kind and four characters of the secret. */
  keyPrefix: string;
  /** The last four characters; they belong to the checksum. */
  last4: string;
}

/** Makes a key of 256 random bits. `secret` is only given by tests. */
export function generateKey(prefix: string, kind: KeyKind, secret = randomBytes(SECRET_BYTES)): NewKey {
  const start = `${prefix}_${kind}_`;
  const body = start + base62(BigInt(`0x${secret.toString('hex')}`), SECRET_CHARACTERS);
  const key = body + checksum(body);
  return {
    key,
    hash: hashKey(key),
    keyPrefix: key.slice(0, start.length + SHOWN_CHARACTERS),
    last4: key.slice(-SHOWN_CHARACTERS),
  };
}

/**
 * SHA-256 of a whole key, as stored and looked up. 256 random bits cannot be guessed, so that no slow hash and no
 * pepper is needed (OWASP ASVS 5 §6.5.2, §11.5.1).
 */
export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

/** The same as text, a character for each byte: what memory is asked with. */
export function hashKeyText(key: string): string {
  return hash('sha256', key, 'binary');
}

/**
 * Whether a string has exactly the shape of an API key with this prefix but a wrong checksum: it was never issued.
 * Strings of any other shape are not judged; an imported key may look like anything.
 */
export function hasWrongChecksum(prefix: string, key: string): boolean {
  return shape(prefix).test(key) && !checksumHolds(key);
}

/** Whether a string can be a service key. None is ever imported: whatever looks different was never issued. */
export function isServiceKey(key: string): boolean {
  return SERVICE_KEY.test(key) && checksumHolds(key);
}

const ANY_KEY = new RegExp(
  `(?<![0-9A-Za-z])[a-z][a-z0-9]{0,15}_(?:${[...ENVIRONMENTS, SERVICE].join('|')})_${RANDOM_PART}(?![0-9A-Za-z])`,
  'g',
);

/** The keys in a text, of any kind and with whatever prefix they were issued; not what only looks like one. */
export function keysIn(text: string): string[] {
  return (text.match(ANY_KEY) ?? []).filter(checksumHolds);
}

const shapes = new Map<string, RegExp>();

function shape(prefix: string): RegExp {
  let pattern = shapes.get(prefix);
  if (pattern === undefined) {
    pattern = new RegExp(`^${prefix}_(?:${ENVIRONMENTS.join('|')})_${RANDOM_PART}$`);
    shapes.set(prefix, pattern);
  }
  return pattern;
}

function checksumHolds(key: string): boolean {
  return checksum(key.slice(0, -CHECKSUM_CHARACTERS)) === key.slice(-CHECKSUM_CHARACTERS);
}

function checksum(body: string): string {
  return base62(BigInt(crc32(body)), CHECKSUM_CHARACTERS);
}

/** Base 62, most significant digit first, padded with zeros to a fixed number of characters. */
function base62(value: bigint, characters: number): string {
  let text = '';
  for (let rest = value; text.length < characters; rest /= 62n) text = ALPHABET.charAt(Number(rest % 62n)) + text;
  return text;
}
