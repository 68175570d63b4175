import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const START = 'ks_live_';
const SECRET_CHARACTERS = 43;
const CHECKSUM_CHARACTERS = 6;

/**
 * The key with this number, of the service's own shape and with a right checksum. Made from its number, so that a
 * million of them need not be kept: they protect nothing.
 */
export function keyOf(series: string, index: number): string {
  const digest = createHash('sha512').update(`${series} ${index}`).digest();
  let secret = '';
  for (let at = 0; at < SECRET_CHARACTERS; at += 1) secret += ALPHABET.charAt((digest[at] ?? 0) % ALPHABET.length);
  const body = START + secret;
  return body + checksum(body);
}

export function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** Numbers from `from` up to, and without, `to`, as keys. */
export function keysOf(series: string, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, offset) => keyOf(series, from + offset));
}

function checksum(body: string): string {
  let text = '';
  for (let rest = crc32(body); text.length < CHECKSUM_CHARACTERS; rest = Math.floor(rest / 62)) {
    text = ALPHABET.charAt(rest % 62) + text;
  }
  return text;
}
