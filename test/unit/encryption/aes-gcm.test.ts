import { createCipheriv } from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { decrypt, type Encrypted, encrypt, IV_BYTES, KEY_BYTES, TAG_BYTES } from '../../../src/encryption/aes-gcm.ts';
import { DecryptionError } from '../../../src/encryption/decryption-error.ts';
import { reasonOf } from './reason-of.ts';

const hex = (text: string) => Buffer.from(text, 'hex');
const zeros = (bytes: number) => Buffer.alloc(bytes);

/** McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: the AES-256 cases with a 96-bit IV. */
const LONG_KEY = hex('feffe9928665731c6d6a8f9467308308'.repeat(2));
const LONG_IV = hex('cafebabefacedbaddecaf888');
const LONG_PLAINTEXT = hex(
  'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
    '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
);
const LONG_CIPHERTEXT = hex(
  '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
    '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad',
);
const CASES = [
  {
    number: 13,
    key: zeros(32),
    iv: zeros(12),
    plaintext: zeros(0),
    aad: zeros(0),
    ciphertext: zeros(0),
    tag: '530f8afbc74536b9a963b4f1c4cb738b',
  },
  {
    number: 14,
    key: zeros(32),
    iv: zeros(12),
    plaintext: zeros(16),
    aad: zeros(0),
    ciphertext: hex('cea7403d4d606b6e074ec5d3baf39d18'),
    tag: 'd0d1c8a799996bf0265b98b5d48ab919',
  },
  {
    number: 15,
    key: LONG_KEY,
    iv: LONG_IV,
    plaintext: LONG_PLAINTEXT,
    aad: zeros(0),
    ciphertext: LONG_CIPHERTEXT,
    tag: 'b094dac5d93471bdec1a502270e3cc6c',
  },
  {
    number: 16,
    key: LONG_KEY,
    iv: LONG_IV,
    plaintext: LONG_PLAINTEXT.subarray(0, 60),
    aad: hex('feedfacedeadbeeffeedfacedeadbeefabaddad2'),
    ciphertext: LONG_CIPHERTEXT.subarray(0, 60),
    tag: '76fc6ece0f4e1768cddf8853bb2d551b',
  },
];

const key = Buffer.alloc(KEY_BYTES, 7);
const aad = Buffer.from('where it belongs');
const plaintext = Buffer.from('not-a-real-secret');

describe('the published test cases of AES-256-GCM', () => {
  it.each(CASES)('case $number is encrypted to the published ciphertext and tag', (vector) => {
    const encrypted = encrypt(vector.key, vector.plaintext, vector.aad, vector.iv);
    expect(encrypted).toEqual({ iv: vector.iv, tag: hex(vector.tag), ciphertext: vector.ciphertext });
  });

  it.each(CASES)(
    'case $number is decrypted to the published plaintext',
    ({ key, iv, aad, ciphertext, tag, ...vector }) => {
      expect(decrypt(key, { iv, tag: hex(tag), ciphertext }, aad)).toEqual(vector.plaintext);
    },
  );
});

describe('encrypt', () => {
  it('uses the sizes of NIST SP 800-38D: a 32-byte key, a 12-byte IV and the full 16-byte tag', () => {
    const { iv, tag, ciphertext } = encrypt(key, plaintext, aad);
    expect([KEY_BYTES, IV_BYTES, TAG_BYTES]).toEqual([32, 12, 16]);
    expect([iv.length, tag.length, ciphertext.length]).toEqual([12, 16, plaintext.length]);
  });

  it('never uses an IV twice in 10,000 encryptions', () => {
    const ivs = Array.from({ length: 10_000 }, () => encrypt(key, plaintext, aad).iv.toString('hex'));
    expect(new Set(ivs).size).toBe(ivs.length);
  });

  it.each([0, 16, 24, 31, 33, 64])('refuses a key of %i bytes and says what it needs', (bytes) => {
    expect(() => encrypt(zeros(bytes), plaintext, aad)).toThrow(new RangeError('AES-256-GCM needs a 32-byte key'));
  });

  it.each([0, 8, 11, 13, 16])('refuses an IV of %i bytes and says what it needs', (bytes) => {
    expect(() => encrypt(key, plaintext, aad, zeros(bytes))).toThrow(new RangeError('AES-256-GCM needs a 12-byte IV'));
  });
});

describe('decrypt', () => {
  let encrypted: Encrypted;
  beforeEach(() => {
    encrypted = encrypt(key, plaintext, aad);
  });

  it('gives back what was encrypted', () => {
    expect(decrypt(key, encrypted, aad)).toEqual(plaintext);
  });

  it.each([0, 4, 8, 12, 13, 14, 15])('refuses the right tag cut down to %i bytes', (bytes) => {
    const short = { ...encrypted, tag: encrypted.tag.subarray(0, bytes) };
    expect(() => decrypt(key, short, aad)).toThrow(new RangeError('AES-256-GCM needs a 16-byte tag'));
  });

  it('refuses a tag that OpenSSL itself made 4 bytes long', () => {
    const cipher = createCipheriv('aes-256-gcm', key, encrypted.iv, { authTagLength: 4 });
    cipher.setAAD(aad);
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    expect(() => decrypt(key, { iv: encrypted.iv, tag: cipher.getAuthTag(), ciphertext }, aad)).toThrow(RangeError);
  });

  it('refuses a tag with a byte too many', () => {
    const long = { ...encrypted, tag: Buffer.concat([encrypted.tag, zeros(1)]) };
    expect(() => decrypt(key, long, aad)).toThrow(new RangeError('AES-256-GCM needs a 16-byte tag'));
  });

  it.each([16, 31, 33])('refuses a key of %i bytes', (bytes) => {
    expect(() => decrypt(zeros(bytes), encrypted, aad)).toThrow(new RangeError('AES-256-GCM needs a 32-byte key'));
  });

  it.each([11, 13])('refuses an IV of %i bytes', (bytes) => {
    expect(() => decrypt(key, { ...encrypted, iv: zeros(bytes) }, aad)).toThrow(
      new RangeError('AES-256-GCM needs a 12-byte IV'),
    );
  });

  it.each([
    { what: 'another key', attempt: () => decrypt(Buffer.alloc(KEY_BYTES, 8), encrypted, aad) },
    { what: 'other AAD', attempt: () => decrypt(key, encrypted, Buffer.from('elsewhere')) },
    { what: 'no AAD', attempt: () => decrypt(key, encrypted, zeros(0)) },
    { what: 'another IV', attempt: () => decrypt(key, { ...encrypted, iv: zeros(12) }, aad) },
    { what: 'another tag', attempt: () => decrypt(key, { ...encrypted, tag: zeros(16) }, aad) },
    { what: 'another ciphertext', attempt: () => decrypt(key, { ...encrypted, ciphertext: zeros(17) }, aad) },
  ])('fails as not authentic with $what', ({ attempt }) => {
    expect(reasonOf(attempt)).toBe('not_authentic');
  });

  it('overwrites the plaintext when it was not authentic, so that nothing of it stays readable', () => {
    const fill = vi.spyOn(Buffer.prototype, 'fill');
    try {
      expect(() => decrypt(key, { ...encrypted, tag: zeros(16) }, aad)).toThrow(DecryptionError);
      const overwritten = fill.mock.contexts.find((buffer) => (buffer as Buffer).length === plaintext.length);
      expect(overwritten).toEqual(zeros(plaintext.length));
    } finally {
      fill.mockRestore();
    }
  });

  it('tells the reason and nothing of the bytes', () => {
    const error = new DecryptionError('not_authentic');
    expect({ name: error.name, message: error.message, own: Object.keys(error).sort() }).toEqual({
      name: 'DecryptionError',
      message: 'Sealed bytes did not open: not_authentic',
      own: ['name', 'reason'],
    });
  });
});
