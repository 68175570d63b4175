import { sql } from 'drizzle-orm';
import { check, index, text, uuid } from 'drizzle-orm/pg-core';
import { bytea, instant, keyService } from './columns.ts';
import { dataKeys } from './data-keys.ts';

/** What requests with an Idempotency-Key were answered; for a day, see idempotency/reply-in-transaction.ts. */
export const idempotentReplies = keyService.table(
  'idempotent_replies',
  {
    /** SHA-256 of what the key is good for; see idempotency/request-identity.ts. */
    scope: bytea('scope').primaryKey(),
    requestId: text('request_id').notNull(),
    /** The `audit` data key that the MAC was made with. */
    bodyKeyId: uuid('body_key_id').notNull(),
    bodyMac: bytea('body_mac').notNull(),
    dataKeyId: uuid('data_key_id')
      .notNull()
      .references(() => dataKeys.id),
    sealed: bytea('sealed').notNull(),
    createdAt: instant('created_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
  },
  (table) => [
    index().on(table.dataKeyId),
    index('idempotent_replies_by_expiry').on(table.expiresAt),
    check('idempotent_replies_scope_is_sha256', sql`octet_length(${table.scope}) = 32`),
  ],
);
