import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DataKey,
  open,
  opener,
  type SecretPlace,
  seal,
  sealedWith,
} from '../../../src/encryption/sealed-secret.ts';
import { flipBit, reasonOf } from './reason-of.ts';

const dataKey: DataKey = { id: '01900000-0000-7000-8000-000000000001', key: Buffer.alloc(32, 0x5a) };
const place = {
  purpose: 'provider-key',
  organizationId: '01900000-0000-7000-8000-000000000002',
  provider: 'anthropic',
  rowId: '01900000-0000-7000-8000-000000000003',
  secretVersion: 3,
} satisfies SecretPlace;
const SECRET = 'not-a-real-secret';
const HEADER_BYTES = 45;
/** Sealed outside this project's code, from the drawing alone. Whatever changes, this has to open. */
const STORED = Buffer.from(
  '01' +
    '01900000000070008000000000000001' +
    '000102030405060708090a0b' +
    '3552f1d370ebf4870c02aab4815b358c' +
    '23ce59485feecca96f58e09ddf44276dfe',
  'hex',
);

describe('a sealed secret', () => {
  it('opens, for any text, with the key and at the place that it was sealed for', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (secret) => {
        expect(open(dataKey, place, seal(dataKey, place, secret))).toBe(secret);
      }),
    );
  });

  it('opens when it was stored long ago', () => {
    expect(open(dataKey, place, STORED)).toBe(SECRET);
  });

  it('is different every time', () => {
    const sealed = Array.from({ length: 1_000 }, () => seal(dataKey, place, SECRET).toString('hex'));
    expect(new Set(sealed).size).toBe(1_000);
  });

  it('is laid out as drawn: version, data key id, IV, tag, ciphertext', () => {
    const sealed = seal(dataKey, place, SECRET);
    expect(sealed).toHaveLength(HEADER_BYTES + Buffer.byteLength(SECRET));
    expect(sealed[0]).toBe(1);
    expect(sealed.subarray(1, 17).toString('hex')).toBe(dataKey.id.replaceAll('-', ''));
    const again = seal(dataKey, place, SECRET);
    expect(again.subarray(0, 17)).toEqual(sealed.subarray(0, 17));
    expect(again.subarray(17, 29)).not.toEqual(sealed.subarray(17, 29));
  });

  it('holds no byte sequence of the secret', () => {
    expect(seal(dataKey, place, SECRET).includes(SECRET.slice(0, 6))).toBe(false);
  });

  it('may be empty', () => {
    const sealed = seal(dataKey, place, '');
    expect(sealed).toHaveLength(HEADER_BYTES);
    expect(open(dataKey, place, sealed)).toBe('');
  });

  it('does not take a data key id that is no UUID', () => {
    expect(() => seal({ ...dataKey, id: 'system' }, place, SECRET)).toThrow(RangeError);
  });
});

describe('a sealed secret that was altered', () => {
  const reasonsOfFlips = (sealed: Buffer, from: number, to: number) =>
    Array.from({ length: (to - from) * 8 }, (_, bit) =>
      reasonOf(() => open(dataKey, place, flipBit(sealed, from * 8 + bit))),
    );

  it('is malformed with any other version', () => {
    const sealed = seal(dataKey, place, SECRET);
    const versions = Array.from({ length: 256 }, (_, version) => version).filter((version) => version !== 1);
    for (const version of versions) {
      const other = Buffer.concat([Buffer.of(version), sealed.subarray(1)]);
      expect(reasonOf(() => open(dataKey, place, other))).toBe('malformed');
      expect(reasonOf(() => sealedWith(other))).toBe('malformed');
    }
  });

  it('names another key when any bit of its data key id is turned', () => {
    expect(reasonsOfFlips(seal(dataKey, place, SECRET), 1, 17)).toEqual(Array(128).fill('wrong_key'));
  });

  it('is not authentic when any bit of its IV, tag or ciphertext is turned', () => {
    const sealed = seal(dataKey, place, SECRET);
    const bits = (sealed.length - 17) * 8;
    expect(reasonsOfFlips(sealed, 17, sealed.length)).toEqual(Array(bits).fill('not_authentic'));
  });

  it('does not open cut off at any length', () => {
    const sealed = seal(dataKey, place, SECRET);
    for (let length = 0; length < sealed.length; length += 1) {
      const reason = length < HEADER_BYTES ? 'malformed' : 'not_authentic';
      expect(reasonOf(() => open(dataKey, place, sealed.subarray(0, length)))).toBe(reason);
    }
  });

  it('does not open with any number of bytes after it, up to its own length', () => {
    const sealed = seal(dataKey, place, SECRET);
    for (let extra = 1; extra <= sealed.length; extra += 1) {
      const longer = Buffer.concat([sealed, Buffer.alloc(extra)]);
      expect(reasonOf(() => open(dataKey, place, longer))).toBe('not_authentic');
    }
  });

  it('does not open with bytes before it', () => {
    const sealed = seal(dataKey, place, SECRET);
    expect(reasonOf(() => open(dataKey, place, Buffer.concat([Buffer.of(1), sealed])))).toBe('wrong_key');
  });

  it('does not open with the ciphertext of another secret', () => {
    const sealed = seal(dataKey, place, SECRET);
    const other = seal(dataKey, place, 'another-fake-secret');
    const mixed = Buffer.concat([sealed.subarray(0, HEADER_BYTES), other.subarray(HEADER_BYTES)]);
    expect(reasonOf(() => open(dataKey, place, mixed))).toBe('not_authentic');
  });
});

describe('a sealed secret that was moved', () => {
  it.each<Partial<SecretPlace>>([
    { organizationId: '01900000-0000-7000-8000-0000000000ff' },
    { provider: 'openai' },
    { rowId: '01900000-0000-7000-8000-0000000000ff' },
    { secretVersion: 2 },
    { secretVersion: 4 },
    { purpose: 'something-else' as SecretPlace['purpose'] },
    { purpose: 'platform-key' },
    { organizationId: null },
    { purpose: 'platform-key', organizationId: null },
    { organizationId: place.rowId, rowId: place.organizationId },
    { organizationId: `${place.organizationId}a`, provider: 'nthropic' },
  ])('does not open at another place: %o', (elsewhere) => {
    const sealed = seal(dataKey, place, SECRET);
    expect(reasonOf(() => open(dataKey, { ...place, ...elsewhere }, sealed))).toBe('not_authentic');
  });

  it('does not open with a data key of another id, even when its bytes are the same', () => {
    const sealed = seal(dataKey, place, SECRET);
    const other = { ...dataKey, id: '01900000-0000-7000-8000-0000000000ff' };
    expect(reasonOf(() => open(other, place, sealed))).toBe('wrong_key');
  });

  it('does not open with other bytes under the id of its data key', () => {
    const sealed = seal(dataKey, place, SECRET);
    expect(reasonOf(() => open({ ...dataKey, key: Buffer.alloc(32, 1) }, place, sealed))).toBe('not_authentic');
  });
});

describe('opener', () => {
  it('opens as often as it is asked, with the data key that it is given', () => {
    const openWith = opener(place, STORED);
    expect([openWith(dataKey), openWith(dataKey)]).toEqual([SECRET, SECRET]);
    expect(reasonOf(() => openWith({ ...dataKey, key: Buffer.alloc(32, 1) }))).toBe('not_authentic');
    expect(reasonOf(() => openWith({ ...dataKey, id: place.rowId }))).toBe('wrong_key');
    expect(openWith(dataKey)).toBe(SECRET);
  });

  it('takes nothing that is malformed', () => {
    expect(reasonOf(() => opener(place, STORED.subarray(0, HEADER_BYTES - 1)))).toBe('malformed');
  });
});

describe('sealedWith', () => {
  it('reads the data key id without opening anything', () => {
    expect(sealedWith(STORED)).toBe(dataKey.id);
    expect(sealedWith(STORED.subarray(0, HEADER_BYTES))).toBe(dataKey.id);
  });

  it('finds nothing too short to be a header to be one', () => {
    expect(reasonOf(() => sealedWith(STORED.subarray(0, HEADER_BYTES - 1)))).toBe('malformed');
    expect(reasonOf(() => sealedWith(Buffer.alloc(0)))).toBe('malformed');
  });
});
