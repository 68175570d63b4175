import type { InvalidField } from '../errors.ts';

/** Deeper than any request here needs, and far from what would overflow the stack of a recursive schema. */
const DEEPEST = 32;

interface Place {
  value: unknown;
  pointer: string;
  depth: number;
  /**
   * The names in it are those of fields: of the request, or of an item of one of its lists. All others are the caller's own
   * and may be anything; they are not sent back.
   */
  isFields: boolean;
}

/**
 * Finds what PostgreSQL cannot store, in any string or member name of a parsed value: NUL characters, and surrogates
 * without their other half. Also refuses values nested so deeply that walking them is an attack.
 */
export function findUnsafeText(value: unknown): InvalidField | null {
  const open: Place[] = [{ value, pointer: '', depth: 0, isFields: true }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, pointer, depth, isFields } = next;
    if (typeof value === 'string') {
      if (!isSafe(value)) return { pointer, detail: 'must not hold NUL characters or lone surrogates' };
    } else if (typeof value === 'object' && value !== null) {
      if (depth === DEEPEST) return { pointer, detail: `must not be nested deeper than ${DEEPEST} levels` };
      for (const [name, member] of Object.entries(value)) {
        if (!isSafe(name))
          return { pointer, detail: 'must not have a member with a NUL character or lone surrogate in its name' };
        if (depth > 0 && name === '__proto__') return { pointer, detail: 'must not have a member named __proto__' };
        const isListed = depth === 1 && Array.isArray(value);
        open.push({
          value: member,
          pointer: isFields || isListed ? `${pointer}/${publicName(name)}` : pointer,
          depth: depth + 1,
          isFields: isListed && !Array.isArray(member),
        });
      }
    }
  }
  return null;
}

/** Letters with digits may be a key; these are fields all the same. */
const FIELDS_WITH_DIGITS = new Set(['sha256', 'last4']);

/**
 * A member's name when it looks like a field's, else a placeholder: someone may have put a secret where a name belongs,
 * and error bodies never hold one.
 */
export function publicName(name: string): string {
  return /^[a-z][A-Za-z_]{0,31}$|^\d{1,4}$/.test(name) || FIELDS_WITH_DIGITS.has(name) ? name : '…';
}

function isSafe(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}
