import { z } from 'zod';

/** An instant in the future, with any offset: when a key stops. */
export const expiresAt = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((date) => date > new Date(), 'must be in the future')
  .refine((date) => date.getUTCFullYear() <= 9999, 'must be before the year 10000')
  .meta({ description: 'When the key stops.', example: '2030-01-01T00:00:00.000Z' });
