import { availableParallelism } from 'node:os';
import { z } from 'zod';

/** setTimeout's own limit (2^31 - 1 ms); anything longer would fire at once. */
export const LONGEST_TIMER_MS = 2_147_483_647;
const MOST_WORKERS = 256;

export function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, error)
    .transform(Number)
    .refine((value) => value >= min && value <= max, error);
}

export const milliseconds = () => whole(1, LONGEST_TIMER_MS);
/** 0 lets the system choose, for tests. */
export const port = () => whole(0, 65_535);

/** `auto` is one for every core that this process may use. */
export function workers() {
  const error = `must be a whole number from 1 to ${MOST_WORKERS}, or auto`;
  return z
    .string()
    .regex(/^(auto|\d{1,15})$/, error)
    .transform((value) => (value === 'auto' ? Math.min(availableParallelism(), MOST_WORKERS) : Number(value)))
    .refine((value) => value >= 1 && value <= MOST_WORKERS, error);
}

export const oneOf = <const T extends string[]>(...values: T) => z.enum(values, `must be one of ${values.join(', ')}`);

/** What travels in a header: visible ASCII, the only text that arrives as it was sent (RFC 9110 §5.5). */
export const headerValue = z.string().regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters without white space');

/** Separated by commas; white space around one, and a comma too many, are no part of any. */
export function listed(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
