import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DataKey, open, type SecretPlace, seal } from '../../../src/encryption/sealed-secret.ts';
import { flipBit, reasonOf } from './reason-of.ts';

/** Any data key, any place and any secret, with every way in which a sealed value may be altered or moved. */
const dataKey: fc.Arbitrary<DataKey> = fc.record({
  id: fc.uuid(),
  key: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
});
const within = {
  provider: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/),
  rowId: fc.uuid(),
  secretVersion: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
};
const place: fc.Arbitrary<SecretPlace> = fc.oneof(
  fc.record({ purpose: fc.constant('provider-key' as const), organizationId: fc.uuid(), ...within }),
  fc.record({ purpose: fc.constant('platform-key' as const), organizationId: fc.constant(null), ...within }),
  fc.record({ purpose: fc.constant('idempotent-reply' as const), organizationId: fc.constant(null), ...within }),
);
const secret = fc.string({ unit: 'grapheme', maxLength: 64 });
const row = fc.record({ dataKey, place, secret });

const bytes = (maxLength: number) => fc.uint8Array({ minLength: 1, maxLength }).map((array) => Buffer.from(array));

describe('A sealed value, whatever it holds and wherever', () => {
  it('opens as what was sealed', () => {
    fc.assert(
      fc.property(row, ({ dataKey, place, secret }) => {
        expect(open(dataKey, place, seal(dataKey, place, secret))).toBe(secret);
      }),
    );
  });

  it('does not open with any one bit turned over', () => {
    fc.assert(
      fc.property(row, ({ dataKey, place, secret }) => {
        const sealed = seal(dataKey, place, secret);
        for (let bit = 0; bit < sealed.length * 8; bit += 1) {
          expect(reasonOf(() => open(dataKey, place, flipBit(sealed, bit)))).not.toBeNull();
        }
      }),
      { numRuns: 20 },
    );
  });

  it('does not open with any of its bytes missing at the end or at the start', () => {
    fc.assert(
      fc.property(row, ({ dataKey, place, secret }) => {
        const sealed = seal(dataKey, place, secret);
        for (let length = 0; length < sealed.length; length += 1) {
          expect(reasonOf(() => open(dataKey, place, sealed.subarray(0, length)))).not.toBeNull();
          expect(reasonOf(() => open(dataKey, place, sealed.subarray(sealed.length - length)))).not.toBeNull();
        }
      }),
      { numRuns: 20 },
    );
  });

  it('does not open with any bytes after it, before it or within', () => {
    fc.assert(
      fc.property(row, bytes(40), fc.nat(), ({ dataKey, place, secret }, extra, position) => {
        const sealed = seal(dataKey, place, secret);
        const at = position % sealed.length;
        const longer = [
          [sealed, extra],
          [extra, sealed],
          [sealed.subarray(0, at), extra, sealed.subarray(at)],
        ];
        for (const parts of longer) {
          expect(reasonOf(() => open(dataKey, place, Buffer.concat(parts)))).not.toBeNull();
        }
      }),
    );
  });

  it('does not open in the place of another, under one data key or under two', () => {
    fc.assert(
      fc.property(row, row, fc.boolean(), (one, other, isOneKey) => {
        const otherKey = isOneKey ? one.dataKey : other.dataKey;
        fc.pre(JSON.stringify(one.place) !== JSON.stringify(other.place));
        const sealed = [seal(one.dataKey, one.place, one.secret), seal(otherKey, other.place, other.secret)] as const;
        expect(reasonOf(() => open(one.dataKey, one.place, sealed[1]))).not.toBeNull();
        expect(reasonOf(() => open(otherKey, other.place, sealed[0]))).not.toBeNull();
      }),
    );
  });

  it('does not open where a single thing about its place is another', () => {
    fc.assert(
      fc.property(row, place, ({ dataKey, place, secret }, elsewhere) => {
        const sealed = seal(dataKey, place, secret);
        for (const field of Object.keys(place) as (keyof SecretPlace)[]) {
          if (elsewhere[field] === place[field]) continue;
          const moved = { ...place, [field]: elsewhere[field] };
          expect(reasonOf(() => open(dataKey, moved, sealed))).toBe('not_authentic');
        }
      }),
    );
  });

  it('does not open with another data key, nor with another that has its id', () => {
    fc.assert(
      fc.property(row, dataKey, ({ dataKey, place, secret }, other) => {
        fc.pre(!other.key.equals(dataKey.key) && other.id !== dataKey.id);
        const sealed = seal(dataKey, place, secret);
        expect(reasonOf(() => open(other, place, sealed))).toBe('wrong_key');
        expect(reasonOf(() => open({ ...other, id: dataKey.id }, place, sealed))).toBe('not_authentic');
      }),
    );
  });
});
