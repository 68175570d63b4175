import { z } from 'zod';
import { PERMISSIONS, ROOT } from '../caller.ts';
import { serviceKeyStatus, type UsedServiceKey } from './service-key.ts';

const MAX_PROVIDERS = 64;
/** Of names in logs and in the audit, and of providers. */
const SLUG = /^[a-z0-9][a-z0-9-]{0,62}$/;
const instant = z.iso.datetime();

export const name = z
  .string()
  .regex(SLUG)
  .refine((text) => text !== ROOT, `must not be ${ROOT}, which is the name of the root caller`)
  .meta({
    description: 'Who the service is, in logs: `service:<name>`. Two keys may have one name.',
    example: 'billing',
  });

const permission = z.enum(PERMISSIONS);

export const permissions = z
  .array(permission)
  .transform((list) => PERMISSIONS.filter((one) => list.includes(one)))
  .meta({ description: 'What the key may do. Without any: nothing.' });

export const revealProviders = z
  .array(z.string().regex(SLUG))
  .max(MAX_PROVIDERS)
  .transform((list) => [...new Set(list)])
  .meta({
    description: 'With `provider-keys:reveal`: the providers whose keys may be shown; null: all.',
    example: ['anthropic'],
  });

/** A key in a list. Never the key itself, nor its hash. */
export const serviceKeyItem = z.object({
  id: z.uuid(),
  name: z.string(),
  keyPrefix: z.string().meta({ description: 'The start of the key.', example: 'ks_service_4fGh' }),
  last4: z.string().length(4),
  status: z.enum(['active', 'revoked', 'expired']),
  permissions: z.array(permission),
  revealProviders: z.array(z.string()).nullable(),
  expiresAt: instant.nullable(),
  createdAt: instant,
  lastUsedAt: instant.nullable().meta({ description: 'Written a few seconds after the use.' }),
  revokedAt: instant.nullable(),
});

export function toItem({
  createdAt,
  expiresAt,
  lastUsedAt,
  revokedAt,
  ...key
}: UsedServiceKey): z.input<typeof serviceKeyItem> {
  return {
    ...key,
    status: serviceKeyStatus({ revokedAt, expiresAt }, Date.now()),
    expiresAt: expiresAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    revokedAt: revokedAt?.toISOString() ?? null,
  };
}
