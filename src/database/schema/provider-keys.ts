import { sql } from 'drizzle-orm';
import { index, integer, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core';
import { bytea, instant, keyService } from './columns.ts';
import { dataKeys } from './data-keys.ts';
import { organizations } from './organizations.ts';

/**
 * One row per organisation and provider, and one per provider of the platform's own key. It outlives its secret, so that a
 * version number is never used twice.
 */
export const providerKeys = keyService.table(
  'provider_keys',
  {
    id: uuid('id').primaryKey(),
    /** null: the platform's own. */
    organizationId: uuid('organization_id').references(() => organizations.id),
    provider: text('provider').notNull(),
    /** The newest version; 0 before the first. */
    version: integer('version').notNull().default(0),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    deletedAt: instant('deleted_at'),
  },
  (table) => [
    uniqueIndex('provider_keys_one_per_provider').on(table.organizationId, table.provider),
    uniqueIndex('provider_keys_one_of_platform').on(table.provider).where(sql`${table.organizationId} is null`),
  ],
);

/** Where services get an organisation's key of a provider from; without a row it is the organisation's own. */
export const providerKeySources = keyService.table(
  'provider_key_sources',
  {
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    provider: text('provider').notNull(),
    source: text('source', { enum: ['platform', 'own-then-platform'] }).notNull(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.organizationId, table.provider] })],
);

/** The sealed secrets, the newest ten of each key; the format is drawn in encryption/sealed-secret.ts. */
export const providerKeyVersions = keyService.table(
  'provider_key_versions',
  {
    providerKeyId: uuid('provider_key_id')
      .notNull()
      .references(() => providerKeys.id),
    version: integer('version').notNull(),
    /** Repeated from the sealed header, so that the database can say which key holds how many secrets. */
    dataKeyId: uuid('data_key_id')
      .notNull()
      .references(() => dataKeys.id),
    sealed: bytea('sealed').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** What is known of the secret; see provider-keys/key-state.ts. Changing it is not announced: nothing answers with it. */
    status: text('status', { enum: ['valid', 'rejected', 'rate_limited', 'unreachable', 'unchecked'] })
      .notNull()
      .default('unchecked'),
    lastCheckedAt: instant('last_checked_at'),
  },
  (table) => [primaryKey({ columns: [table.providerKeyId, table.version] }), index().on(table.dataKeyId)],
);

export const providerKeyUses = keyService.table('provider_key_uses', {
  id: uuid('provider_key_id')
    .primaryKey()
    .references(() => providerKeys.id),
  lastUsedAt: instant('last_used_at').notNull(),
});
