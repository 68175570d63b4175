import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstMissingScope, SCOPE_PATTERN } from '../../src/api-keys/scopes.ts';

const scope = fc.stringMatching(/^[a-z][a-z0-9]{0,8}(:[a-z][a-z0-9]{0,8}){0,2}$/);
const scopes = fc.array(scope, { maxLength: 5 });

describe('firstMissingScope', () => {
  it('lets an unrestricted key do anything', () => {
    fc.assert(
      fc.property(scopes, (required) => {
        expect(firstMissingScope(null, required)).toBeNull();
      }),
    );
  });

  it('lets a key with an empty list do nothing, and asks nothing of a request that requires nothing', () => {
    expect(firstMissingScope([], ['read:orders'])).toBe('read:orders');
    expect(firstMissingScope([], [])).toBeNull();
  });

  it('finds nothing missing when every required scope was granted, whatever else was', () => {
    fc.assert(
      fc.property(scopes, scopes, (required, others) => {
        expect(firstMissingScope([...others, ...required], required)).toBeNull();
      }),
    );
  });

  it('names the first of several that are missing', () => {
    expect(firstMissingScope(['a'], ['a', 'b', 'c'])).toBe('b');
    expect(firstMissingScope(['c'], ['a', 'b', 'c'])).toBe('a');
  });

  it.each(['orders:read', 'orders:read:eu', 'orders:*'])('lets orders:* cover %s', (required) => {
    expect(firstMissingScope(['orders:*'], [required])).toBeNull();
  });

  it.each(['orders', 'ordersx:read', 'order:read', 'read:orders', 'orders-old:read'])(
    'does not let orders:* cover %s',
    (required) => {
      expect(firstMissingScope(['orders:*'], [required])).toBe(required);
    },
  );

  it('does not take a star anywhere but after a colon at the end for a wildcard', () => {
    expect(firstMissingScope(['*'], ['orders'])).toBe('orders');
    expect(firstMissingScope(['orders*'], ['orders:read'])).toBe('orders:read');
    expect(firstMissingScope(['*:read'], ['orders:read'])).toBe('orders:read');
    expect(firstMissingScope(['orders:*:eu'], ['orders:read:eu'])).toBe('orders:read:eu');
  });

  it('does not let a narrow scope cover a wide one', () => {
    expect(firstMissingScope(['orders:read'], ['orders:*'])).toBe('orders:*');
    expect(firstMissingScope(['orders:read'], ['orders'])).toBe('orders');
  });
});

describe('the form of a scope', () => {
  it.each(['read:orders', 'a', '0', 'orders:*', 'v1.orders_all-x', 'a'.repeat(64)])('allows %s', (text) => {
    expect(text).toMatch(SCOPE_PATTERN);
  });

  it.each(['', '*', ':a', 'Read', 'a b', 'a/b', 'a\n', 'é', 'a'.repeat(65)])('refuses %j', (text) => {
    expect(text).not.toMatch(SCOPE_PATTERN);
  });
});
