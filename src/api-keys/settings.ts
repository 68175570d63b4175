import { z } from 'zod';
import { expiresAt } from '../expiry.ts';
import { normalRange } from '../ip-address.ts';
import { rateLimit } from '../rate-limits/schemas.ts';
import type { ApiKeySettings } from './api-key.ts';
import { json, refill, remainingUses, scope } from './schemas.ts';
import { MAX_SCOPES } from './scopes.ts';

const MAX_RANGES = 64;
const LARGEST_METADATA_BYTES = 4 * 1024;

const scopes = z
  .array(scope)
  .max(MAX_SCOPES)
  .transform((list) => [...new Set(list)])
  .meta({ description: 'null: unrestricted; an empty list: nothing allowed.' });

const metadata = z
  .record(z.string(), json)
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= LARGEST_METADATA_BYTES,
    'must be at most 4 KiB as JSON',
  )
  .meta({ description: 'Anything of yours, returned by every validation.' });

const range = z.string().transform((text, context) => {
  const normal = normalRange(text);
  if (normal !== null) return normal;
  context.addIssue({
    code: 'custom',
    message: 'must be an IP address or a range of them (CIDR), such as 203.0.113.0/24',
  });
  return z.NEVER;
});

const ipAllowList = z
  .array(range)
  .max(MAX_RANGES)
  .transform((list) => [...new Set(list)])
  .meta({
    description:
      'Where the key may be used from: IPv4 and IPv6 addresses and ranges (CIDR), which are kept by their first address. ' +
      'null: anywhere; an empty list: nowhere.',
    example: ['203.0.113.0/24', '2001:db8::/32'],
  });

/**
 * The settings that whoever issues, imports or changes a key may send, or leave out; null is none. A new one is added here and
 * to `settingsOf`. What a request has to say of a key beside them, its name first, stands with the request.
 */
export const settings = {
  expiresAt: expiresAt.nullish(),
  scopes: scopes.nullish(),
  metadata: metadata.nullish(),
  remainingUses: remainingUses.nullish(),
  refill: refill.nullish(),
  ipAllowList: ipAllowList.nullish(),
  rateLimit: rateLimit.nullish(),
};
type SentSettings = z.output<z.ZodObject<typeof settings>>;

/** Of a new key, where what was left out is none. */
export function settingsOf(sent: SentSettings): Omit<ApiKeySettings, 'name' | 'enabled'> {
  return {
    expiresAt: sent.expiresAt ?? null,
    scopes: sent.scopes ?? null,
    metadata: sent.metadata ?? {},
    remainingUses: sent.remainingUses ?? null,
    refill: sent.refill ?? null,
    ipAllowList: sent.ipAllowList ?? null,
    rateLimit: sent.rateLimit ?? null,
  };
}
