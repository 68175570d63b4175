import { z } from 'zod';

/**
 * White space of any kind (JavaScript's \s has the Unicode spaces), control characters, and U+FFFD, which stands where
 * bytes of a query were no UTF-8: looking it up would look for something else than was meant.
 */
const SPACE_OR_CONTROL = /[\s\p{Cc}\uFFFD]/u;

/** Text without white space or control characters. */
export const unbroken = (text: string): boolean => !SPACE_OR_CONTROL.test(text);

/** An organisation, as Clerk names it. */
export const clerkOrgId = z
  .string()
  .min(1)
  .max(255)
  .refine(unbroken, 'must not hold white space or control characters')
  .meta({ description: "The organisation, by Clerk's id.", example: 'org_2abc' });
