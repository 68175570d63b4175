import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UUID_BYTES, uuidFromBytes, uuidToBytes } from '../../../src/encryption/uuid-bytes.ts';

const UUID = '00112233-4455-6677-8899-aabbccddeeff';

describe('the bytes of a UUID', () => {
  it('are the hexadecimal digits of its text, in order', () => {
    expect(uuidToBytes(UUID).toString('hex')).toBe('00112233445566778899aabbccddeeff');
    expect(uuidFromBytes(uuidToBytes(UUID))).toBe(UUID);
  });

  it('are sixteen, and give back the same UUID, for every UUID', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        const bytes = uuidToBytes(uuid);
        expect(bytes).toHaveLength(UUID_BYTES);
        expect(uuidFromBytes(bytes)).toBe(uuid);
      }),
    );
  });

  it('give back the same bytes through the text, for any sixteen bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        expect(uuidToBytes(uuidFromBytes(Buffer.from(bytes)))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it.each([15, 17])('are sixteen: %i bytes never become something that looks like a UUID', (bytes) => {
    expect(uuidFromBytes(Buffer.alloc(bytes))).toBe('00'.repeat(bytes));
  });

  it.each([
    ['nothing', ''],
    ['upper case', UUID.toUpperCase()],
    ['no hyphens', UUID.replaceAll('-', '')],
    ['braces', `{${UUID}}`],
    ['a digit too few at the start', UUID.slice(1)],
    ['a digit too few at the end', UUID.slice(0, -1)],
    ['a digit too many', `${UUID}0`],
    ['something before it', `0${UUID}`],
    ['a line feed after it', `${UUID}\n`],
    ['a character that is no digit', UUID.replace('a', 'g')],
    ['hyphens elsewhere', '0011-22334455-6677-8899-aabbccddeeff'],
    ['a long second group', '00112233-44556-677-8899-aabbccddeeff'],
  ])('are refused for %s', (_what, text) => {
    expect(() => uuidToBytes(text)).toThrow(new RangeError('Not a UUID in lower-case text form'));
  });
});
