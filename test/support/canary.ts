import { randomBytes } from 'node:crypto';

export interface Canary {
  /** A secret that nobody has; it stands for one that must not get out. */
  secret: string;
  /** The forms in which it stands in a text: raw, hexadecimal, base64, percent-encoded. Empty is good. */
  formsIn(text: string): string[];
}

/** @param before what the secret starts with, such as the characters that make it a key of some kind */
export function newCanary(before = ''): Canary {
  const core = `canary${randomBytes(9).toString('hex')}`;
  const secret = before + core;
  const hex = Buffer.from(core).toString('hex');
  const forms: Record<string, string[]> = {
    raw: [core],
    reversed: [[...core].reverse().join('')],
    hex: [hex],
    base64: [0, 1, 2].map((offset) => base64At(core, offset)),
    percent: [hex.replaceAll(/../g, '%$&')],
  };
  return {
    secret,
    formsIn(text) {
      const lower = text.toLowerCase();
      return Object.entries(forms).flatMap(([form, values]) => {
        const found = values.some((value) => (form === 'base64' ? text : lower).includes(value));
        return found ? [form] : [];
      });
    },
  };
}

/** What of its base64 form does not depend on what stands around it, when it starts at this byte of three. */
function base64At(text: string, offset: number): string {
  const encoded = Buffer.from('x'.repeat(offset) + text).toString('base64url');
  return encoded.slice(offset === 0 ? 0 : 4, -4);
}
