import { z } from 'zod';
import { ENVIRONMENTS } from '../key-format.ts';
import type { Json } from '../prepared-json.ts';
import { rateLimit } from '../rate-limits/schemas.ts';
import type { UsedApiKey } from './api-key.ts';
import { API_KEY_STATUSES, apiKeyStatus } from './api-key.ts';
import { SCOPE_PATTERN } from './scopes.ts';
import { REFILL_INTERVALS } from './usage-limit.ts';

const instant = z.iso.datetime();

export const json: z.ZodType<Json, Json> = z
  .lazy(() => z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(json), z.record(z.string(), json)]))
  .meta({ id: 'Json' });

/** Any text: an id that is no UUID belongs to no key, which is a 404 like every other unknown id. */
export const idOfKey = z.string().meta({ description: 'A UUID.' });

export const scope = z
  .string()
  .regex(SCOPE_PATTERN)
  .meta({ description: 'What a key may do; `orders:*` covers every `orders:…`.', example: 'read:orders' });

export const name = z.string().min(1).max(255).meta({ description: 'For people to tell keys apart.', example: 'CI' });

export const environment = z.enum(ENVIRONMENTS);

export const remainingUses = z
  .int()
  .min(0, 'must be 0 or more')
  .meta({ description: 'How often the key may still be used; null: as often as anybody likes.' });

export const refill = z
  .strictObject({ amount: z.int().min(1, 'must be 1 or more'), interval: z.enum(REFILL_INTERVALS) })
  .meta({
    description: '`remainingUses` is set to `amount`, whatever it was, when each calendar day or month in UTC begins.',
  });

/** What is final comes first: a key that was revoked is so, whatever else is true of it. */
export const status = z.enum(API_KEY_STATUSES);

/** A whole key, of any form, since keys from elsewhere have theirs. */
export const presentedKey = z.string().trim().min(1).max(8_192).meta({ description: 'The whole key.' });

/** A key in a list. Never the key itself, nor its hash. */
export const apiKeyItem = z.object({
  id: z.uuid(),
  keyPrefix: z.string().meta({
    description: 'The start of the key; empty for an imported one unless it was told.',
    example: 'ks_live_4fGh',
  }),
  last4: z.string().max(4).meta({ description: 'Its end, likewise.' }),
  name: z.string().nullable(),
  status,
  enabled: z.boolean(),
  environment,
  scopes: z.array(z.string()).nullable(),
  metadata: z.record(z.string(), json),
  ipAllowList: z.array(z.string()).nullable(),
  expiresAt: instant.nullable(),
  remainingUses: remainingUses.nullable(),
  refill: refill.nullable(),
  rateLimit: rateLimit.nullable().meta({ description: 'null: that of its organisation, if it has one.' }),
  createdAt: instant,
  lastUsedAt: instant.nullable().meta({ description: 'Written a few seconds after the use.' }),
  revokedAt: instant.nullable(),
  recoverable: z.boolean().meta({ description: 'A sealed copy of the key is kept.' }),
  rotatedFrom: z.uuid().nullable().meta({ description: 'The key whose place it took.' }),
  rotatedTo: z.uuid().nullable().meta({ description: 'The key that took its place.' }),
});
type ApiKeyItem = z.input<typeof apiKeyItem>;

/** @param at the instant that its status is judged at */
export function toItem(key: UsedApiKey, at = new Date()): ApiKeyItem {
  return {
    id: key.id,
    keyPrefix: key.keyPrefix,
    last4: key.last4,
    name: key.name,
    status: apiKeyStatus(key, at.getTime()),
    enabled: key.enabled,
    environment: key.environment,
    scopes: key.scopes,
    metadata: key.metadata as ApiKeyItem['metadata'],
    ipAllowList: key.ipAllowList,
    expiresAt: key.expiresAt?.toISOString() ?? null,
    remainingUses: key.remainingUses,
    refill: key.refill,
    rateLimit: key.rateLimit,
    createdAt: key.createdAt.toISOString(),
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    recoverable: key.recoverable,
    rotatedFrom: key.rotatedFrom,
    rotatedTo: key.rotatedTo,
  };
}

/** With the key itself, this once. */
export const issuedKey = apiKeyItem.extend({
  key: z.string().meta({
    description:
      'The whole key. Unless it is recoverable it is not stored, and is shown again to the same request alone, sent again ' +
      'with its Idempotency-Key.',
  }),
  message: z.string(),
});

export const messageOf = ({ recoverable }: UsedApiKey) =>
  recoverable ? 'Keep this key, or recover it when it is needed.' : 'Keep this key: it is shown only once.';

/** The item by itself, and after a change. */
export const apiKeyDetails = apiKeyItem.extend({
  updatedAt: instant,
  revision: z.int().meta({ description: 'Raised by every change.' }),
});

export function toDetails(key: UsedApiKey): z.input<typeof apiKeyDetails> {
  return { ...toItem(key), updatedAt: key.updatedAt.toISOString(), revision: key.revision };
}

export const etagOf = ({ revision }: UsedApiKey) => ({ ETag: `"${revision}"` });
