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
  const pieces = Array.from({ length: LENGTH - PIECE + 1 }, (_, start) => core.slice(start, start + PIECE));
  const hex = pieces.map((piece) => Buffer.from(piece).toString('hex'));
  const forms: Record<string, string[]> = {
    raw: pieces,
    reversed: pieces.map((piece) => [...piece].reverse().join('')),
    hex,
    percent: hex.map((digits) => digits.replaceAll(/../g, '%$&')),
  };
  const base64 = [0, 1, 2].map((offset) => base64At(core, offset));
  return {
    secret: before + core,
    formsIn(text) {
      const lower = text.toLowerCase();
      const found = Object.entries(forms).filter(([, values]) => values.some((value) => lower.includes(value)));
      const encoded = base64.some((value) => text.includes(value)) ? ['base64'] : [];
      return [...found.map(([form]) => form), ...encoded];
    },
  };
}

/** What of its base64 form does not depend on what stands around it, when it starts at this byte of three. */
function base64At(text: string, offset: number): string {
  const encoded = Buffer.from('x'.repeat(offset) + text).toString('base64url');
  return encoded.slice(offset === 0 ? 0 : 4, -4);
}
