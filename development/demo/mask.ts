export interface Mask {
  /** Remembers what must not be shown; anything but a string is passed over. */
  learn(...secrets: unknown[]): void;
  apply(text: string): string;
}

const SHOWN = 8;
const BULLETS = '••••••••';

/** Hides known secrets wherever they occur in a text, all but the first characters of each. */
export function createMask(): Mask {
  const known = new Set<string>();
  return {
    learn(...secrets) {
      for (const secret of secrets) {
        if (typeof secret === 'string' && secret !== '') known.add(secret);
      }
    },
    apply(text) {
      // Longest first, lest a secret within another leaves the rest of that one readable.
      const longestFirst = [...known].sort((a, b) => b.length - a.length);
      return longestFirst.reduce((masked, secret) => {
        const shown = Math.min(SHOWN, Math.floor(secret.length / 4));
        return masked.replaceAll(secret, secret.slice(0, shown) + BULLETS);
      }, text);
    },
  };
}
