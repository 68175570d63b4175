import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ENVIRONMENTS,
  generateKey,
  hashKey,
  hashKeyText,
  hasWrongChecksum,
  isServiceKey,
  type KeyKind,
  keysIn,
} from '../../src/key-format.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const secretOf = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const replaceAt = (text: string, at: number, character: string) => text.slice(0, at) + character + text.slice(at + 1);

/** The digits of base 62, read back. */
function numberOf(text: string): bigint {
  return [...text].reduce((value, digit) => value * 62n + BigInt(ALPHABET.indexOf(digit)), 0n);
}

describe('a new key', () => {
  it.each(ENVIRONMENTS)('has the documented shape in the environment %s', (environment) => {
    const { key } = generateKey('ks', environment);
    expect(key).toMatch(new RegExp(`^ks_${environment}_[0-9A-Za-z]{49}$`));
  });

  it('has the documented shape when it is a service key', () => {
    expect(generateKey('ks', 'service').key).toMatch(/^ks_service_[0-9A-Za-z]{49}$/);
  });

  it('exists for the environments live and test and no other', () => {
    expect(ENVIRONMENTS).toEqual(['live', 'test']);
  });

  it('is well-formed and distinct 10,000 times over', () => {
    const keys = Array.from({ length: 10_000 }, () => generateKey('ks', 'live').key);
    expect(new Set(keys).size).toBe(10_000);
    expect(keys.filter((key) => !/^ks_live_[0-9A-Za-z]{49}$/.test(key) || hasWrongChecksum('ks', key))).toEqual([]);
  });

  // Computed outside this project's code. In two parts, so that no file holds a key.
  it.each([
    { prefix: 'ks', environment: 'live' as const, byte: 0x00, body: '0'.repeat(43), checksum: '28nLI8' },
    {
      prefix: 'ks',
      environment: 'test' as const,
      byte: 0xff,
      body: 'yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1',
      checksum: '3cpORk',
    },
    {
      prefix: 'acme',
      environment: 'live' as const,
      byte: 0x01,
      body: '0El6XFXwsUFD8J2vGxsaboW7rZYnQRBP5d9erwRwd29',
      checksum: '3FqTib',
    },
  ])('of known bits has the known text and checksum: $prefix $environment $byte', (known) => {
    const { key } = generateKey(known.prefix, known.environment, Buffer.alloc(32, known.byte));
    expect(key).toBe(`${known.prefix}_${known.environment}_${known.body}${known.checksum}`);
  });

  it('carries all 256 bits of its secret', () => {
    fc.assert(
      fc.property(secretOf, (secret) => {
        const { key } = generateKey('ks', 'live', secret);
        expect(numberOf(key.slice('ks_live_'.length, -6)).toString(16).padStart(64, '0')).toBe(secret.toString('hex'));
      }),
    );
  });

  it('ends in the CRC-32 of everything before', () => {
    fc.assert(
      fc.property(secretOf, (secret) => {
        const { key } = generateKey('ks', 'test', secret);
        expect(numberOf(key.slice(-6))).toBe(BigInt(crc32(key.slice(0, -6))));
      }),
    );
  });

  it('may be recognised by its readable start, its last four characters, and its SHA-256', () => {
    const { key, keyPrefix, last4, hash } = generateKey('acme', 'test');
    expect(keyPrefix).toBe(key.slice(0, 'acme_test_'.length + 4));
    expect(last4).toBe(key.slice(-4));
    expect(hash).toEqual(createHash('sha256').update(key).digest());
  });

  it('keeps at least 39 characters of its secret to itself', () => {
    const { key, keyPrefix, last4 } = generateKey('ks', 'live');
    expect(key.length - keyPrefix.length - last4.length).toBe(39 + 2);
  });
});

describe('hashKey', () => {
  it('is the SHA-256 of the UTF-8 text, so that keys issued elsewhere can be imported by their hash', () => {
    const published = ['ba7816bf8f01cfea414140de5dae2223', 'b00361a396177a9cb410ff61f20015ad'].join('');
    expect(hashKey('abc').toString('hex')).toBe(published);
    expect(hashKey('é')).toEqual(createHash('sha256').update(Buffer.of(0xc3, 0xa9)).digest());
  });
});

describe('hasWrongChecksum', () => {
  const genuine = () => generateKey('ks', 'live', Buffer.alloc(32, 0x3c)).key;
  const secretStart = 'ks_live_'.length;

  it('never judges a genuine key', () => {
    fc.assert(
      fc.property(
        secretOf,
        fc.constantFrom(...ENVIRONMENTS),
        fc.constantFrom('ks', 'a', 'acme9'),
        (secret, env, prefix) => {
          expect(hasWrongChecksum(prefix, generateKey(prefix, env, secret).key)).toBe(false);
        },
      ),
    );
  });

  it('catches every key that differs in one character', () => {
    const key = genuine();
    for (let at = secretStart; at < key.length; at += 1) {
      const mistyped = [...ALPHABET].filter((c) => c !== key[at]).map((c) => replaceAt(key, at, c));
      expect(mistyped.filter((other) => !hasWrongChecksum('ks', other))).toEqual([]);
      expect(mistyped).toHaveLength(61);
    }
  });

  it('catches two neighbours that changed places', () => {
    const key = genuine();
    for (let at = secretStart; at < key.length - 1; at += 1) {
      const swapped = key.slice(0, at) + key.charAt(at + 1) + key.charAt(at) + key.slice(at + 2);
      expect(hasWrongChecksum('ks', swapped)).toBe(swapped !== key);
    }
  });

  it('catches a live key that is passed off as a test key', () => {
    expect(hasWrongChecksum('ks', genuine().replace('_live_', '_test_'))).toBe(true);
  });

  it('catches made-up keys', () => {
    const madeUp = fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 49, maxLength: 49 });
    fc.assert(
      fc.property(madeUp, (text) => {
        expect(hasWrongChecksum('ks', `ks_live_${text}`)).toBe(true);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['a key of another service', 'sk_test_not_a_real_key'],
    ['another prefix', `other${mistyped().slice(2)}`],
    ['the prefix in capitals', mistyped().replace('ks', 'KS')],
    ['another environment', mistyped().replace('_live_', '_prod_')],
    ['a character too few', mistyped().slice(0, -1)],
    ['a character too many', `${mistyped()}0`],
    ['something before it', `x${mistyped()}`],
    ['a line feed after it', `${mistyped()}\n`],
    ['a character outside base 62', replaceAt(mistyped(), secretStart + 9, '-')],
    ['a letter outside ASCII', replaceAt(mistyped(), secretStart + 9, 'é')],
  ])('does not judge what has another shape, which may have been imported: %s', (_what, text) => {
    expect(hasWrongChecksum('ks', text)).toBe(false);
  });

  it('judges keys of the configured prefix only', () => {
    const forged = replaceAt(generateKey('acme', 'live', Buffer.alloc(32, 1)).key, 20, '!').replace('!', 'z');
    expect(hasWrongChecksum('acme', forged)).toBe(true);
    expect(hasWrongChecksum('ks', forged)).toBe(false);
    expect(hasWrongChecksum('acme', mistyped())).toBe(false);
    expect(hasWrongChecksum('acme', forged)).toBe(true);
  });

  /** Of the right shape, with a checksum that is wrong. */
  function mistyped(): string {
    return `ks_live_${'0'.repeat(43)}000000`;
  }
});

describe('isServiceKey', () => {
  const genuine = () => generateKey('ks', 'service', Buffer.alloc(32, 0x3c)).key;
  const secretStart = 'ks_service_'.length;

  it('knows every service key, whatever prefix it was issued with', () => {
    const prefixes = fc.constantFrom('ks', 'a', 'acme9', 'abcdefghijklmnop');
    fc.assert(
      fc.property(secretOf, prefixes, (secret, prefix) => {
        expect(isServiceKey(generateKey(prefix, 'service', secret).key)).toBe(true);
      }),
    );
  });

  it('knows no key that differs in one character', () => {
    const key = genuine();
    for (let at = secretStart; at < key.length; at += 1) {
      const mistyped = [...ALPHABET].filter((c) => c !== key[at]).map((c) => replaceAt(key, at, c));
      expect(mistyped.filter(isServiceKey)).toEqual([]);
    }
  });

  it.each([
    ['nothing', ''],
    ['an API key', generateKey('ks', 'live').key],
    ['an API key that is passed off as one', generateKey('ks', 'live').key.replace('_live_', '_service_')],
    ['no prefix', genuine().slice('ks'.length)],
    ['another prefix than it was issued with', genuine().replace('ks', 'sk')],
    ['a prefix in capitals', genuine().replace('ks', 'KS')],
    ['a prefix that starts with a digit', generateKey('1ks', 'service').key],
    ['a prefix of 17 characters', generateKey('abcdefghijklmnopq', 'service').key],
    ['a character too few', genuine().slice(0, -1)],
    ['a character too many', `${genuine()}0`],
    ['something before it', `-${genuine()}`],
    ['a line feed after it', `${genuine()}\n`],
    ['a character outside base 62', replaceAt(genuine(), secretStart + 9, '-')],
  ])('does not know %s', (_what, text) => {
    expect(isServiceKey(text)).toBe(false);
  });
});

describe('hashKeyText', () => {
  it('is the same SHA-256, a character for each byte', () => {
    fc.assert(
      fc.property(fc.string(), (key) => {
        expect(Buffer.from(hashKeyText(key), 'latin1')).toEqual(hashKey(key));
      }),
    );
  });
});

describe('the keys in a text', () => {
  const KINDS: readonly KeyKind[] = ['live', 'test', 'service'];
  const several = ['ks', 'acme1', 'a', 'a'.repeat(16)].flatMap((prefix) =>
    KINDS.map((kind) => generateKey(prefix, kind).key),
  );

  it('are found, of every kind and prefix, in their order', () => {
    expect(keysIn(several.join(' and '))).toEqual(several);
    expect(keysIn(several.join(','))).toEqual(several);
  });

  it.each([
    ['alone', '', ''],
    ['in a header', 'Authorization: Bearer ', '\r\n'],
    ['in a URL', 'https://api.example/?key=', '&a=b'],
    ['beside underscores', 'MY_', '_'],
    ['beside letters that are not ASCII', 'é', 'é'],
  ])('are found %s', (_, before, after) => {
    for (const key of several) expect(keysIn(before + key + after)).toEqual([key]);
  });

  it('are none where there are none', () => {
    expect(keysIn('')).toEqual([]);
    expect(keysIn('ks_live_ and no more')).toEqual([]);
  });

  it('are none where something longer has a key in it, and none with a wrong checksum', () => {
    const { key } = generateKey('ks', 'live');
    const last = key.endsWith('A') ? 'B' : 'A';
    for (const text of [
      `${key}0`,
      `x${key}`,
      `7${key}`,
      key.slice(0, -1),
      key.slice(0, -1) + last,
      key.toUpperCase(),
    ]) {
      expect(keysIn(text), text.replace(key, '<key>')).toEqual([]);
    }
  });
});
