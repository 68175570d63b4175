import { randomInt } from 'node:crypto';

export interface Canary {
  /** A secret that nobody has; it stands for one that must not get out. */
  secret: string;
  /** The forms in which it, or a piece of it, stands in a text: raw, hexadecimal, base64, percent-encoded. */
  formsIn(text: string): string[];
}

/** No word, no UUID and no number is made of these, so that a piece of a canary is found by its letters alone. */
const LETTERS = 'ghjklmnpqrstvwxz';
const LENGTH = 30;
/** As little as Node's message about malformed JSON quotes of it. */
const PIECE = 7;

/** @param before what the secret starts with, such as the characters that make it a key of some kind */
export function newCanary(before = ''): Canary {
  const core = Array.from({ length: LENGTH }, () => LETTERS.charAt(randomInt(LETTERS.length))).join('');
  return { secret: before + core, formsIn: formsOf(core, PIECE) };
}

/**
 * Looks for a secret whose characters are not ours to choose, such as a key that the service issued.
 *
 * @param piece the number of characters that make a find; shorter ones stand in other texts by chance
 */
export function formsOf(core: string | Buffer, piece: number): Canary['formsIn'] {
  const bytes = Buffer.from(core);
  const pieces = Array.from({ length: bytes.length - piece + 1 }, (_, start) => bytes.subarray(start, start + piece));
  const raw = typeof core === 'string' ? pieces.map((part) => part.toString().toLowerCase()) : [];
  const hex = pieces.map((part) => part.toString('hex'));
  const forms: Record<string, string[]> = {
    raw,
    reversed: raw.map((letters) => [...letters].reverse().join('')),
    hex,
    percent: hex.map((digits) => digits.replaceAll(/../g, '%$&')),
  };
  const base64 = [0, 1, 2].flatMap((offset) => base64At(bytes, offset));
  return (text) => {
    const lower = text.toLowerCase();
    const found = Object.entries(forms).filter(([, values]) => values.some((value) => lower.includes(value)));
    const encoded = base64.some((value) => text.includes(value)) ? ['base64'] : [];
    return [...found.map(([form]) => form), ...encoded];
  };
}

/**
 * What of its base64 form, in both alphabets, does not depend on what stands around it, when it starts at this byte of
 * three.
 */
function base64At(bytes: Buffer, offset: number): string[] {
  const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
  return (['base64', 'base64url'] as const).map((alphabet) =>
    shifted
      .toString(alphabet)
      .replace(/=+$/, '')
      .slice(offset === 0 ? 0 : 4, -4),
  );
}
