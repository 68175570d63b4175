import { sql } from 'drizzle-orm';
import { check, text, uuid } from 'drizzle-orm/pg-core';
import type { Permission } from '../../caller.ts';
import { bytea, instant, keyService } from './columns.ts';

/** The platform's own services, beside the root caller, whose key is configured. Stored like API keys. */
export const serviceKeys = keyService.table(
  'service_keys',
  {
    id: uuid('id').primaryKey(),
    /** Two keys may have one name, for rotation: they are one caller. */
    name: text('name').notNull(),
    keyHash: bytea('key_hash').notNull().unique(),
    keyPrefix: text('key_prefix').notNull(),
    last4: text('last4').notNull(),
    permissions: text('permissions').array().$type<Permission[]>().notNull(),
    /** null: every provider. */
    revealProviders: text('reveal_providers').array(),
    expiresAt: instant('expires_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    revokedAt: instant('revoked_at'),
  },
  (table) => [check('service_keys_hash_is_sha256', sql`octet_length(${table.keyHash}) = 32`)],
);

export const serviceKeyUses = keyService.table('service_key_uses', {
  id: uuid('service_key_id')
    .primaryKey()
    .references(() => serviceKeys.id),
  lastUsedAt: instant('last_used_at').notNull(),
});
