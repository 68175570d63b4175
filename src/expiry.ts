import { z } from 'zod';

/** An instant, with any offset: when a key stops. That it is still to come is for the use case to ask, see require-future.ts. */
export const expiresAt = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((date) => date.getUTCFullYear() <= 9999, 'must be before the year 10000')
  .meta({ description: 'When the key stops: in the future.', example: '2030-01-01T00:00:00.000Z' });
