import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findUnsafeText, publicName } from '../../src/http/safe-text.ts';

const TEXT = 'must not hold NUL characters or lone surrogates';
const NAME = 'must not have a member with a NUL character or lone surrogate in its name';
const nested = (levels: number): unknown => (levels === 0 ? 'leaf' : [nested(levels - 1)]);
const chain = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);

describe('findUnsafeText', () => {
  it('finds nothing in any JSON value of well-formed text', () => {
    const json = fc
      .jsonValue({ maxDepth: 6, stringUnit: 'grapheme' })
      .filter((value) => !/\\u0000|"__proto__":/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(json, (value) => {
        expect(findUnsafeText(value)).toBeNull();
      }),
    );
  });

  it.each([
    ['a NUL character', 'a\0b'],
    ['a high surrogate without its other half', 'a\ud83d'],
    ['a low surrogate without its other half', '\udd11a'],
    ['surrogates in the wrong order', '\udd11\ud83d'],
  ])('finds %s, wherever in a value it stands', (_what, text) => {
    expect(findUnsafeText(text)).toEqual({ pointer: '', detail: TEXT });
    expect(findUnsafeText({ name: text })).toEqual({ pointer: '/name', detail: TEXT });
    expect(findUnsafeText({ scopes: ['read', text] })).toEqual({ pointer: '/scopes/1', detail: TEXT });
    expect(findUnsafeText({ keys: [{}, { name: text }] })).toEqual({ pointer: '/keys/1/name', detail: TEXT });
    expect(findUnsafeText({ keys: [{ metadata: { own: [text] } }] })).toEqual({
      pointer: '/keys/0/metadata',
      detail: TEXT,
    });
    expect(findUnsafeText({ keys: [[{ own: text }]] })).toEqual({ pointer: '/keys/0', detail: TEXT });
    expect(findUnsafeText([text])).toEqual({ pointer: '/0', detail: TEXT });
    expect(findUnsafeText({ metadata: { deep: [{ deeper: text }] } })).toEqual({ pointer: '/metadata', detail: TEXT });
  });

  it('finds them in the name of a member, at any depth', () => {
    expect(findUnsafeText({ 'a\0': 1 })).toEqual({ pointer: '', detail: NAME });
    expect(findUnsafeText({ metadata: { x: { '\ud800': 1 } } })).toEqual({ pointer: '/metadata', detail: NAME });
  });

  it('lets whole surrogate pairs and other control characters pass', () => {
    expect(findUnsafeText({ name: '🔑\u0001\n\u007f' })).toBeNull();
  });

  it.each([null, undefined, true, 0, 1.5, [], {}])('finds nothing in %j', (value) => {
    expect(findUnsafeText(value)).toBeNull();
  });

  it('refuses nesting from the thirty-third level on', () => {
    expect(findUnsafeText(nested(32))).toBeNull();
    expect(findUnsafeText(nested(33))).toEqual({ pointer: '/0/0', detail: 'must not be nested deeper than 32 levels' });
  });

  it('is not overflowed by the deepest value that fits into a body', () => {
    expect(findUnsafeText(chain(5_000))).not.toBeNull();
  });

  it('never repeats what stands in a name that is not a field', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const pointer = findUnsafeText({ [`canary ${name}`]: '\0' })?.pointer;
        expect(pointer).toBeOneOf(['', '/…']);
      }),
    );
  });
});

describe('publicName', () => {
  it.each(['clerkOrgId', 'apiKey', 'a_b', 'sha256', 'last4', '0', '9999'])(
    'repeats what looks like the name of a field: %s',
    (name) => {
      expect(publicName(name)).toBe(name);
    },
  );

  it.each(['', 'ClerkOrgId', 'sk-test', 'abc1', 'a'.repeat(33), '12345', 'a b', 'é', 'a\n'])(
    'replaces what might be a value in the wrong place: %j',
    (name) => {
      expect(publicName(name)).toBe('…');
    },
  );
});
