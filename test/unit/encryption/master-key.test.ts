import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type DataKeyIdentity, masterKeyFromBytes } from '../../../src/encryption/master-key.ts';
import { flipBit, reasonOfLater } from './reason-of.ts';

const keyBytes = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
/** Made inside each test: a failure while a file is being read is no test's failure. */
const masterKey = () => masterKeyFromBytes(keyBytes);
const dataKey = Buffer.alloc(32, 0x5a);
const ofOrganization: DataKeyIdentity = {
  id: '01900000-0000-7000-8000-000000000001',
  purpose: 'organization',
  organizationId: '01900000-0000-7000-8000-000000000002',
};
const ofSystem: DataKeyIdentity = { id: ofOrganization.id, purpose: 'system', organizationId: null };

/** Wrapped outside this project's code, from the drawing alone. Whatever changes, these have to be unwrapped. */
const HEADER_START = '01' + '000102030405060708090a0b';
const ENCRYPTED_KEY = ['1d588c419fbf9841d71bcdd1ebb32237', 'd98cdd6eaa210526623dbfdf47335ae8'].join('');
const STORED = Buffer.from(`${HEADER_START}5f81af6d4feced79ca1f5b0d917f36dc${ENCRYPTED_KEY}`, 'hex');
const STORED_SYSTEM = Buffer.from(`${HEADER_START}aa499e39a72d709904dc42b32e9d9e7f${ENCRYPTED_KEY}`, 'hex');

describe('a wrapped data key', () => {
  it.each([ofOrganization, ofSystem])(
    'is unwrapped for the identity that it was wrapped for: $purpose',
    async (identity) => {
      const wrapped = await masterKey().wrap(identity, dataKey);
      expect(await masterKey().unwrap(identity, wrapped)).toEqual(dataKey);
    },
  );

  it('is unwrapped when it was stored long ago', async () => {
    expect(await masterKey().unwrap(ofOrganization, STORED)).toEqual(dataKey);
    expect(await masterKey().unwrap(ofSystem, STORED_SYSTEM)).toEqual(dataKey);
  });

  it('is laid out as drawn: version, IV, tag, encrypted key', async () => {
    const wrapped = await masterKey().wrap(ofOrganization, dataKey);
    expect(wrapped).toHaveLength(1 + 12 + 16 + 32);
    expect(wrapped[0]).toBe(1);
    expect(wrapped.includes(dataKey.subarray(0, 4))).toBe(false);
  });

  it('is different every time', async () => {
    const wrapped = await Promise.all(Array.from({ length: 1_000 }, () => masterKey().wrap(ofOrganization, dataKey)));
    expect(new Set(wrapped.map((bytes) => bytes.toString('hex'))).size).toBe(1_000);
  });

  it.each<Partial<DataKeyIdentity>>([
    { id: '01900000-0000-7000-8000-0000000000ff' },
    { organizationId: '01900000-0000-7000-8000-0000000000ff' },
    { organizationId: null },
    { purpose: 'system' },
    { purpose: 'system', organizationId: null },
  ])('does not open for another identity: %o', async (other) => {
    expect(await reasonOfLater(() => masterKey().unwrap({ ...ofOrganization, ...other }, STORED))).toBe(
      'not_authentic',
    );
  });

  it("does not open for an organisation when it is the system's", async () => {
    expect(await reasonOfLater(() => masterKey().unwrap(ofOrganization, STORED_SYSTEM))).toBe('not_authentic');
  });

  it('does not open with a master key that differs in any one bit', async () => {
    for (let bit = 0; bit < 256; bit += 1) {
      const other = masterKeyFromBytes(flipBit(keyBytes, bit));
      expect(await reasonOfLater(() => other.unwrap(ofOrganization, STORED))).toBe('not_authentic');
    }
  });

  it('is malformed with any bit of its version turned, and not authentic with any other', async () => {
    for (let bit = 0; bit < STORED.length * 8; bit += 1) {
      const reason = bit < 8 ? 'malformed' : 'not_authentic';
      expect(await reasonOfLater(() => masterKey().unwrap(ofOrganization, flipBit(STORED, bit)))).toBe(reason);
    }
  });

  it('is malformed at any other length', async () => {
    for (let length = 0; length <= 2 * STORED.length; length += 1) {
      if (length === STORED.length) continue;
      const other = Buffer.concat([STORED, STORED]).subarray(0, length);
      expect(await reasonOfLater(() => masterKey().unwrap(ofOrganization, other))).toBe('malformed');
    }
  });
});

describe('masterKeyFromBytes', () => {
  it.each([0, 16, 31, 33])('makes no use of a key of %i bytes', async (bytes) => {
    await expect(masterKeyFromBytes(Buffer.alloc(bytes, 1)).wrap(ofOrganization, dataKey)).rejects.toThrow(RangeError);
  });
});

describe('the fingerprint of a master key', () => {
  it('is the same for ever: rows name their master key by it', () => {
    expect(masterKey().id).toBe('eeeb1a98dfafbcb5');
    expect(masterKeyFromBytes(Buffer.from(keyBytes)).id).toBe(masterKey().id);
  });

  it('is another for every key that differs in one bit', () => {
    const ids = Array.from({ length: 256 }, (_, bit) => masterKeyFromBytes(flipBit(keyBytes, bit)).id);
    expect(new Set([...ids, masterKey().id]).size).toBe(257);
  });

  it('is not the start of the key, nor of a plain hash of it', () => {
    const plain = ['md5', 'sha1', 'sha256', 'sha512'].map((name) => createHash(name).update(keyBytes).digest('hex'));
    for (const text of [keyBytes.toString('hex'), ...plain]) expect(text).not.toContain(masterKey().id);
  });
});
