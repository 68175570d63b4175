import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FULLY_MASKED, maskSecret } from '../../src/provider-keys/masking.ts';

const text = (minLength: number, maxLength: number) => fc.string({ unit: 'binary', minLength, maxLength });
const codePoints = (secret: string) => [...secret];

describe('maskSecret', () => {
  it('shows the first and last four characters of a long secret', () => {
    expect(maskSecret('sk-a-not-a-real-key-3f9Q')).toBe('sk-a••••3f9Q');
  });

  it('draws the line at twelve hidden characters', () => {
    expect(maskSecret('0123456789abcdefghi')).toBe('••••••••');
    expect(maskSecret('0123456789abcdefghij')).toBe('0123••••ghij');
  });

  it('shows nothing of a secret that would keep fewer than twelve characters hidden, not even its length', () => {
    fc.assert(
      fc.property(text(0, 30), (secret) => {
        fc.pre(codePoints(secret).length < 20);
        expect(maskSecret(secret)).toBe(FULLY_MASKED);
      }),
    );
  });

  it('hides at least twelve characters of any secret, and shows four at each end at most', () => {
    fc.assert(
      fc.property(text(0, 80), (secret) => {
        const masked = maskSecret(secret);
        const shown = masked === FULLY_MASKED ? 0 : 8;
        expect(codePoints(secret).length - shown >= 12 || shown === 0).toBe(true);
        expect(codePoints(masked).slice(shown / 2, -(shown / 2) || undefined)).toEqual(Array(8 - shown / 2).fill('•'));
      }),
    );
  });

  it('has the same length for all long secrets, so that it does not tell theirs', () => {
    fc.assert(
      fc.property(text(60, 200), (secret) => {
        fc.pre(codePoints(secret).length >= 20);
        expect(codePoints(maskSecret(secret))).toHaveLength(12);
      }),
    );
  });

  it('counts code points and cuts none in half', () => {
    const key = '🔑';
    expect(maskSecret(key.repeat(19))).toBe(FULLY_MASKED);
    expect(maskSecret(key.repeat(20))).toBe(`${key.repeat(4)}••••${key.repeat(4)}`);
    expect(maskSecret(`${key.repeat(5)}${'x'.repeat(11)}${key.repeat(5)}`).isWellFormed()).toBe(true);
  });

  it('fully masks with eight bullets', () => {
    expect(FULLY_MASKED).toBe('••••••••');
  });
});
