import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkOf, normalAddress, normalRange } from '../../src/ip-address.ts';
import { bitsOf, type Family, ipv4Of, ipv6Of } from '../support/ip-model.ts';

const ipv4 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
const ipv6 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });

describe('normalAddress', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:443', '192.0.2.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:65535', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%eth0]:80', 'fe80::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:443', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['::', '::'],
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ])('writes %s as %s', (text, address) => {
    expect(normalAddress(text)).toBe(address);
  });

  it.each([
    ...['', ' ', 'unknown', '_hidden', 'localhost', '192.0.2', '192.0.2.256', '192.0.2.01', '0x7f.1', '2130706433'],
    ...['192.0.2.1/32', '192.0.2.1 ', '192.0.2.1, 192.0.2.2', '192.0.2.1:', '192.0.2.1:http', '192.0.2.1%eth0'],
    ...['[192.0.2.1]', '[192.0.2.1]:443', '[2001:db8::1', '2001:db8::1]', '[]', '[]:1', '2001:db8::1::2', ':::', '::g'],
    ...['2001:db8:1:2:3:4:5:6:7', '[2001:db8::1]:443x', '2001:db8::%', '%eth0'],
  ])('finds no address in %j', (text) => {
    expect(normalAddress(text)).toBeNull();
  });

  it('writes every address in one form, whichever it came in', () => {
    fc.assert(
      fc.property(ipv4, (bits) => {
        const address = ipv4Of(bits);
        for (const form of [address, `${address}:1`, `::ffff:${address}`, `[::ffff:${address}%1]:2`]) {
          expect(normalAddress(form)).toBe(address);
        }
      }),
    );
    fc.assert(
      fc.property(ipv6, (bits) => {
        // WHATWG's URL writes IPv6 as RFC 5952 says, but for mapped addresses.
        fc.pre(bits >> 32n !== 0xffffn);
        const address = new URL(`http://[${ipv6Of(bits)}]`).hostname.slice(1, -1);
        for (const form of [ipv6Of(bits), ipv6Of(bits).toUpperCase(), `[${ipv6Of(bits)}]:80`, address]) {
          expect(normalAddress(form)).toBe(address);
        }
      }),
    );
  });

  it('never fails, whatever it is given, and changes nothing that is in that form', () => {
    const text = fc.oneof(fc.string(), fc.ipV6(), fc.stringMatching(/^[\d.:%[\]f]{0,40}$/));
    fc.assert(
      fc.property(text, (anything) => {
        const address = normalAddress(anything);
        if (address !== null) expect(normalAddress(address)).toBe(address);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('networkOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::', '2001:db8:1:3::/64'],
    ['::1', '::/64'],
  ])('%s is of %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('normalRange', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1/32', '192.0.2.1'],
    ['192.0.2.77/24', '192.0.2.0/24'],
    ['255.255.255.255/0', '0.0.0.0/0'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['ffff::/0', '::/0'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1/128', '192.0.2.1'],
    ['::ffff:192.0.2.77/120', '192.0.2.0/24'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    ['::ffff:0:0/95', '::fffe:0:0/95'],
  ])('writes %s as %s', (text, range) => {
    expect(normalRange(text)).toBe(range);
  });

  it.each([
    ...['', '/', '/8', '10/8', '10.0.0/8', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0.0/8/8'],
    ...[
      '10.0.0.0/255.0.0.0',
      '10.0.0.0-10.0.0.9',
      '10.0.0.*',
      '010.0.0.0/8',
      ' 10.0.0.0/8',
      '10.0.0.0/8 ',
      '10.0.0.0:1',
    ],
    ...[
      '::/129',
      '::/1000',
      '::/0128',
      'fe80::%1/64',
      'fe80::1%eth0',
      '[::]/0',
      '[::1]',
      '2001:db8::/x',
      'localhost',
      '*',
    ],
  ])('finds no range in %j', (text) => {
    expect(normalRange(text)).toBeNull();
  });

  it('writes every range by its first address', () => {
    const family = fc.constantFrom<Family>(4, 6);
    const number = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
    fc.assert(
      fc.property(family, number, fc.nat({ max: 128 }), (version, address, someLength) => {
        const bits = bitsOf(version);
        const length = someLength % (bits + 1);
        const write = (value: bigint) => (version === 4 ? ipv4Of(value) : ipv6Of(value));
        const own = BigInt.asUintN(bits, address);
        fc.pre(version === 4 || own >> 32n !== 0xffffn);
        const shift = BigInt(bits - length);
        const first = normalAddress(write((own >> shift) << shift));
        const expected = length === bits ? first : `${first}/${length}`;
        expect(normalRange(`${write(own)}/${length}`)).toBe(expected);
        expect(normalRange(String(expected))).toBe(expected);
      }),
    );
  });
});
