import { sql } from 'drizzle-orm';
import { bigint, check, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core';
import { bytea, instant, keyService } from './columns.ts';
import { organizations } from './organizations.ts';

/** Wrapped by the master key that they name. Retired ones still open what they sealed. */
export const dataKeys = keyService.table(
  'data_keys',
  {
    id: uuid('id').primaryKey(),
    purpose: text('purpose', { enum: ['organization', 'system', 'audit'] }).notNull(),
    organizationId: uuid('organization_id').references(() => organizations.id),
    masterKeyId: text('master_key_id').notNull(),
    wrapped: bytea('wrapped').notNull(),
    /** How often it has sealed; bounded, see data-keys/data-keys.ts. */
    seals: bigint('seals', { mode: 'number' }).notNull().default(0),
    createdAt: instant('created_at').notNull().defaultNow(),
    retiredAt: instant('retired_at'),
  },
  (table) => [
    uniqueIndex('data_keys_one_current_per_organization')
      .on(table.organizationId)
      .where(sql`${table.retiredAt} is null and ${table.organizationId} is not null`),
    uniqueIndex('data_keys_one_current_per_purpose')
      .on(table.purpose)
      .where(sql`${table.retiredAt} is null and ${table.organizationId} is null`),
    check('data_keys_purpose_fits', sql`(${table.purpose} = 'organization') = (${table.organizationId} is not null)`),
  ],
);
