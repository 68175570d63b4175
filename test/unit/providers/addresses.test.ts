import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isReachable } from '../../../src/providers/addresses.ts';
import { FORBIDDEN, LOOPBACK } from './forbidden-addresses.ts';

describe('a check of a host on the internet', () => {
  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2001:200::1',
    '2606:4700:4700::1111',
    '2a00:1450:4001:800::200e',
    '3ffe::1',
  ])('may connect to %s', (address) => {
    expect(isReachable(address, 'public')).toBe(true);
  });

  it.each([...FORBIDDEN, ...LOOPBACK])('never connects to %s', (address) => {
    expect(isReachable(address, 'public')).toBe(false);
  });

  it('connects to no IPv6 form of an IPv4 address, whatever that is', () => {
    const forms = (a: number, b: number, dotted: string) => [
      `::ffff:${dotted}`,
      `::${dotted}`,
      `64:ff9b::${dotted}`,
      `64:ff9b:1::${dotted}`,
      `2002:${a.toString(16)}:${b.toString(16)}::1`,
      `2001:0:${a.toString(16)}:${b.toString(16)}::1`,
    ];
    const half = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(half, half, (a, b) => {
        const dotted = `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
        for (const address of forms(a, b, dotted)) expect(isReachable(address, 'public'), address).toBe(false);
      }),
    );
  });

  it('connects to nothing of IPv6 that is not given out', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const notGivenOut = group.filter((first) => first >> 13 !== 1);
    fc.assert(
      fc.property(notGivenOut, fc.array(group, { minLength: 7, maxLength: 7 }), (first, rest) => {
        const address = [first, ...rest].map((part) => part.toString(16)).join(':');
        expect(isReachable(address, 'public'), address).toBe(false);
      }),
    );
  });
});

describe('a check of this machine', () => {
  it.each(LOOPBACK)('may connect to %s', (address) => {
    expect(isReachable(address, 'loopback')).toBe(true);
  });

  it.each([...FORBIDDEN, '1.1.1.1', '2606:4700:4700::1111'])('never connects to %s', (address) => {
    expect(isReachable(address, 'loopback')).toBe(false);
  });
});

describe('what is no address as the system writes it', () => {
  it.each([
    '',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '1.1.1.1.',
    ' 1.1.1.1',
    '[::1]',
    '1.1.1.1/8',
  ])('is refused: %j', (address) => {
    expect(isReachable(address, 'public')).toBe(false);
    expect(isReachable(address, 'loopback')).toBe(false);
  });
});
