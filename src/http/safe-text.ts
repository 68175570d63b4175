import type { InvalidField } from '../errors.ts';

/** Deeper than any request here needs, and far from what would overflow the stack of a recursive schema. */
const DEEPEST = 32;

/**
 * Finds what PostgreSQL cannot store, in any string or member name of a parsed value: NUL characters, and surrogates
 * without their other half. Also refuses values nested so deeply that walking them is an attack.
 */
export function findUnsafeText(value: unknown): InvalidField | null {
  const open: { value: unknown; pointer: string; depth: number }[] = [{ value, pointer: '', depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, pointer, depth } = next;
    if (typeof value === 'string') {
      if (!isSafe(value)) return { pointer, detail: 'must not hold NUL characters or lone surrogates' };
    } else if (typeof value === 'object' && value !== null) {
      if (depth === DEEPEST) return { pointer, detail: `must not be nested deeper than ${DEEPEST} levels` };
      for (const [name, member] of Object.entries(value)) {
        if (!isSafe(name))
          return { pointer, detail: 'must not have a member with a NUL character or lone surrogate in its name' };
        if (depth > 0 && name === '__proto__') return { pointer, detail: 'must not have a member named __proto__' };
        // Below the first level names are the caller's own, and may be anything; they are not sent back.
        open.push({ value: member, pointer: depth === 0 ? `/${publicName(name)}` : pointer, depth: depth + 1 });
      }
    }
  }
  return null;
}

/**
 * A member's name when it looks like a field's, else a placeholder: someone may have put a secret where a name belongs,
 * and error bodies never hold one.
 */
export function publicName(name: string): string {
  return /^[a-z][A-Za-z_]{0,31}$|^\d{1,4}$/.test(name) ? name : '…';
}

function isSafe(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}
