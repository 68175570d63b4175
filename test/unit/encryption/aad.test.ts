import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAad } from '../../../src/encryption/aad.ts';

const wellFormed = fc.string({ unit: 'grapheme', maxLength: 12 });
const fields = fc.array(wellFormed, { maxLength: 6 });

/** Reads the encoding back, which only works when it says where each field ends. */
function decode(bytes: Buffer): string[] {
  if (bytes.length === 0) return [];
  const end = 4 + bytes.readUInt32BE(0);
  return [bytes.subarray(4, end).toString('utf8'), ...decode(bytes.subarray(end))];
}

describe('encodeAad', () => {
  it('writes each field behind its length, 32 bits big endian', () => {
    expect(encodeAad(['ab', '', 'é']).toString('hex')).toBe('00000002' + '6162' + '00000000' + '00000002' + 'c3a9');
  });

  it('counts bytes and not characters, also beyond 255', () => {
    expect(
      encodeAad(['é'.repeat(200)])
        .subarray(0, 4)
        .toString('hex'),
    ).toBe('00000190');
  });

  it('encodes no field as no byte', () => {
    expect(encodeAad([])).toHaveLength(0);
  });

  it('can be read back for any list of fields, so that no two lists have one encoding', () => {
    fc.assert(
      fc.property(fields, (list) => {
        expect(decode(encodeAad(list))).toEqual(list);
      }),
    );
  });

  it('encodes different lists differently', () => {
    fc.assert(
      fc.property(fields, fields, (one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other));
        expect(encodeAad(one).equals(encodeAad(other))).toBe(false);
      }),
    );
  });

  it('tells fields apart that only differ in where one ends', () => {
    fc.assert(
      fc.property(fc.array(wellFormed, { minLength: 2, maxLength: 5 }), fc.nat(), (list, at) => {
        const border = (at % (list.length - 1)) + 1;
        const joined = [...list.slice(0, border - 1), `${list[border - 1]}${list[border]}`, ...list.slice(border + 1)];
        expect(encodeAad(joined).equals(encodeAad(list))).toBe(false);
      }),
    );
  });
});
