import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../../src/encryption/aes-gcm.ts';
import { reasonOf } from './reason-of.ts';

/** The shape of Project Wycheproof's aes_gcm_test.json, as far as it is read here. */
interface VectorFile {
  testGroups: { keySize: number; ivSize: number; tagSize: number; tests: Vector[] }[];
}
interface Vector extends Record<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag', string> {
  tcId: number;
  comment: string;
  result: 'valid' | 'invalid' | 'acceptable';
}

/** The file is not part of the project; this variable says where it lies. */
const path = process.env['WYCHEPROOF_AES_GCM'];
const vectors = path === undefined ? [] : readVectors(path);

function readVectors(file: string): Vector[] {
  const { testGroups } = JSON.parse(readFileSync(file, 'utf8')) as VectorFile;
  return testGroups
    .filter(({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128)
    .flatMap(({ tests }) => tests);
}

const hex = (text: string) => Buffer.from(text, 'hex');
const valid = vectors.filter(({ result }) => result === 'valid');
const invalid = vectors.filter(({ result }) => result !== 'valid');
const skipped = path === undefined ? ' (SKIPPED: WYCHEPROOF_AES_GCM names no aes_gcm_test.json)' : '';

describe.skipIf(path === undefined)(`Project Wycheproof, AES-256-GCM with 96-bit IV and 128-bit tag${skipped}`, () => {
  it('has 66 vectors, of both kinds', () => {
    expect(vectors).toHaveLength(66);
    expect(Math.min(valid.length, invalid.length)).toBeGreaterThan(0);
  });

  it.each(valid)('vector $tcId encrypts to the expected bytes and opens again: $comment', (vector) => {
    const { key, iv, aad, msg, ct, tag } = vector;
    expect(encrypt(hex(key), hex(msg), hex(aad), hex(iv))).toEqual({ iv: hex(iv), tag: hex(tag), ciphertext: hex(ct) });
    expect(decrypt(hex(key), { iv: hex(iv), tag: hex(tag), ciphertext: hex(ct) }, hex(aad))).toEqual(hex(msg));
  });

  it.each(invalid)('vector $tcId does not open: $comment', ({ key, iv, aad, ct, tag }) => {
    const attempt = () => decrypt(hex(key), { iv: hex(iv), tag: hex(tag), ciphertext: hex(ct) }, hex(aad));
    expect(reasonOf(attempt)).toBe('not_authentic');
  });
});
