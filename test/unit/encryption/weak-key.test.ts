import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { weakness } from '../../../src/encryption/weak-key.ts';

const STEPS = 'its bytes are all equal, or count up or down';
const PATTERN = 'it repeats a pattern';
const byte = fc.integer({ min: 0, max: 255 });
/** 32 bytes in equal steps, modulo 256. */
const counting = (start: number, step: number) => Buffer.from(Array.from({ length: 32 }, (_, i) => start + i * step));

describe('weakness', () => {
  it('finds nothing against 10,000 random keys', () => {
    const refused = Array.from({ length: 10_000 }, () => weakness(randomBytes(32))).filter((reason) => reason !== null);
    expect(refused).toEqual([]);
  });

  it('refuses a key whose bytes are all equal, whichever byte it is', () => {
    fc.assert(
      fc.property(byte, (value) => {
        expect(weakness(Buffer.alloc(32, value))).toBe(STEPS);
      }),
    );
  });

  it('refuses a key that counts up, wherever it starts', () => {
    fc.assert(
      fc.property(byte, (start) => {
        expect(weakness(counting(start, 1))).toBe(STEPS);
      }),
    );
  });

  it('refuses a key that counts down, wherever it starts', () => {
    fc.assert(
      fc.property(byte, (start) => {
        expect(weakness(counting(start, -1))).toBe(STEPS);
      }),
    );
  });

  it('refuses a key that counts past 0xff to 0x00, and past 0x00 to 0xff', () => {
    expect(weakness(counting(0xf0, 1))).toBe(STEPS);
    expect(weakness(counting(0x0f, -1))).toBe(STEPS);
  });

  it('refuses a key that counts in larger steps', () => {
    fc.assert(
      fc.property(byte, byte, (start, step) => {
        expect(weakness(counting(start, step))).toBe(STEPS);
      }),
    );
  });

  it('refuses a pattern of up to fifteen bytes that repeats', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 15 }), (pattern) => {
        expect(weakness(Buffer.alloc(32, Buffer.from(pattern)))).toBeOneOf([PATTERN, STEPS]);
      }),
    );
  });

  it.each(['deadbeef', 'cafebabe', '0123456789abcdef', '00ff'])('refuses %s repeated', (pattern) => {
    expect(weakness(Buffer.alloc(32, pattern, 'hex'))).toBe(PATTERN);
  });

  it('refuses a key with a single byte that is not zero', () => {
    const key = Buffer.alloc(32);
    key[31] = 1;
    expect(weakness(key)).toBe(PATTERN);
  });

  it('draws the line at sixteen different bytes', () => {
    const fifteen = [9, 1, 7, 3, 14, 5, 2, 11, 4, 13, 6, 0, 12, 8, 10];
    const key = (...distinct: number[]) => Buffer.from([...distinct, ...Array<number>(32 - distinct.length).fill(9)]);
    expect(weakness(key(...fifteen))).toBe(PATTERN);
    expect(weakness(key(...fifteen, 200))).toBeNull();
  });

  it('says why without telling a digit of the key', () => {
    const key = Buffer.alloc(32, 'a7', 'hex');
    expect(weakness(key)).not.toContain('a7');
  });
});
