import { sql } from 'drizzle-orm';
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import type { Json } from '../../prepared-json.ts';
import type { RateLimit } from '../../rate-limits/rate-limit.ts';
import { bytea, instant, keyService, rateLimitFits } from './columns.ts';
import { dataKeys } from './data-keys.ts';
import { organizations } from './organizations.ts';

/** API keys are not stored: only their SHA-256, and what is needed to show one. Revoked rows stay for the audit. */
export const apiKeys = keyService.table(
  'api_keys',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    keyHash: bytea('key_hash').notNull().unique(),
    keyPrefix: text('key_prefix').notNull(),
    last4: text('last4').notNull(),
    name: text('name'),
    environment: text('environment', { enum: ['live', 'test'] }).notNull(),
    enabled: boolean('enabled').notNull().default(true),
    /** null: unrestricted; empty: nothing allowed. */
    scopes: text('scopes').array(),
    metadata: jsonb('metadata').$type<Record<string, Json>>().notNull().default({}),
    /** Ranges of addresses that it may be used from, as `normalRange` writes them; null: anywhere; empty: nowhere. */
    ipAllowList: text('ip_allow_list').array(),
    expiresAt: instant('expires_at'),
    /** null: its organisation's. */
    rateLimit: jsonb('rate_limit').$type<RateLimit>(),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    /** Raised by every change. */
    revision: integer('revision').notNull().default(1),
    revokedAt: instant('revoked_at'),
    /** The key that took its place, and the one whose place it took. */
    rotatedTo: uuid('rotated_to').references((): AnyPgColumn => apiKeys.id),
    rotatedFrom: uuid('rotated_from').references((): AnyPgColumn => apiKeys.id),
    /** How many uses are left, shared with the key that took its place. It stays when the limit is taken away. */
    usageLimitId: uuid('usage_limit_id').references(() => apiKeyUsageLimits.id),
    usageLimited: boolean('usage_limited').notNull().default(false),
  },
  (table) => [
    uniqueIndex('api_keys_rotated_once').on(table.rotatedFrom).where(sql`${table.rotatedFrom} is not null`),
    index('api_keys_newest_first').on(
      table.organizationId,
      table.createdAt.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    check('api_keys_rate_limit_fits', rateLimitFits(table.rateLimit)),
    check('api_keys_hash_is_sha256', sql`octet_length(${table.keyHash}) = 32`),
    check('api_keys_usage_limit_fits', sql`${table.usageLimitId} is not null or not ${table.usageLimited}`),
  ],
);

/**
 * How often keys may still be used, apart from the keys: it changes with each use, which must never make a change of the key
 * wait, nor be announced as one. A key and the one that took its place have one row.
 */
export const apiKeyUsageLimits = keyService.table(
  'api_key_usage_limits',
  {
    id: uuid('id').primaryKey(),
    /** As of the last use. When `refillAt` has come it is `refillAmount`, whatever stands here. */
    remaining: bigint('remaining', { mode: 'number' }).notNull(),
    refillAmount: bigint('refill_amount', { mode: 'number' }),
    refillInterval: text('refill_interval', { enum: ['day', 'month'] }),
    refillAt: instant('refill_at'),
  },
  (table) => [
    check('api_key_usage_limits_not_below_zero', sql`${table.remaining} >= 0`),
    check(
      'api_key_usage_limits_refill_fits',
      sql`(${table.refillAmount} is null) = (${table.refillInterval} is null) and (${table.refillAmount} is null) = (${table.refillAt} is null)`,
    ),
  ],
);

/**
 * Sealed copies of the API keys that can be recovered. Apart from the keys: no validation reads them, and rolling a data key
 * changes no key. A trigger destroys one when its key is revoked or rotated.
 */
export const apiKeyCopies = keyService.table(
  'api_key_copies',
  {
    apiKeyId: uuid('api_key_id')
      .primaryKey()
      .references(() => apiKeys.id),
    /** Repeated from the sealed header, as in `provider_key_versions`. */
    dataKeyId: uuid('data_key_id')
      .notNull()
      .references(() => dataKeys.id),
    sealed: bytea('sealed').notNull(),
    /** The organisation whose Default key it is, the one of its session; null: an ordinary one. */
    defaultOf: uuid('default_of')
      .unique()
      .references(() => organizations.id),
  },
  (table) => [index().on(table.dataKeyId)],
);

/**
 * When a key was last used, apart from the key: writing it must never make a revocation wait, and it changes every few
 * seconds while the key hardly ever does.
 */
export const apiKeyUses = keyService.table('api_key_uses', {
  id: uuid('api_key_id')
    .primaryKey()
    .references(() => apiKeys.id),
  lastUsedAt: instant('last_used_at').notNull(),
});
