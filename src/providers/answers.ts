import type { Expectation, ExpectedAnswer, ProviderCheck } from './provider.ts';

export interface ProviderAnswer {
  status: number;
  /** undefined where it was not read, is no JSON, or too long. */
  json: unknown;
}

/** Whether the body of an answer with this status makes a difference. */
export function isBodyNeeded({ valid, rejected }: ProviderCheck, status: number): boolean {
  return [...valid, ...rejected].some((expected) => expected.status === status && expected.body !== undefined);
}

/** What an answer says of the key; null when it says neither. */
export function meaningOf({ valid, rejected }: ProviderCheck, answer: ProviderAnswer): 'valid' | 'rejected' | null {
  if (valid.some((expected) => fits(expected, answer))) return 'valid';
  if (rejected.some((expected) => fits(expected, answer))) return 'rejected';
  return null;
}

function fits({ status, body = {} }: ExpectedAnswer, answer: ProviderAnswer): boolean {
  if (status !== answer.status) return false;
  return Object.entries(body).every(([pointer, expected]) => isAsExpected(expected, valueAt(answer.json, pointer)));
}

function isAsExpected(expected: Expectation, value: unknown): boolean {
  if (typeof expected !== 'object') return value === expected;
  return typeof value === 'string' && value.startsWith(expected.startsWith);
}

/** The value that a JSON pointer (RFC 6901) names; undefined where there is none. */
function valueAt(json: unknown, pointer: string): unknown {
  let value = json;
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
