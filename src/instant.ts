import { z } from 'zod';

/** RFC 3339, with any offset, of the years that PostgreSQL and JavaScript both know. */
export const instant = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((date) => date.getUTCFullYear() >= 1 && date.getUTCFullYear() <= 9999, 'must be in the years 1 to 9999');
