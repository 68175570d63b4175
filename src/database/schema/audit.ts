import { sql } from 'drizzle-orm';
import { bigint, index, jsonb, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import type { Json } from '../../prepared-json.ts';
import { bytea, instant, keyService } from './columns.ts';

/**
 * What was changed and revealed, one chain of events for each organisation. A chain has the id of its organisation; that of
 * what has none is the nil UUID. No foreign key: the record of an organisation outlives it.
 */
export const auditEvents = keyService.table(
  'audit_events',
  {
    id: uuid('id').notNull(),
    chain: uuid('chain').notNull(),
    /** From 1, without gaps. */
    sequence: bigint('sequence', { mode: 'number' }).notNull(),
    occurredAt: instant('occurred_at').notNull(),
    actorKind: text('actor_kind').notNull(),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    targetType: text('target_type').notNull(),
    targetId: text('target_id'),
    provider: text('provider'),
    requestId: text('request_id').notNull(),
    address: text('address'),
    details: jsonb('details').$type<Record<string, Json>>().notNull(),
    /** The `audit` data key that the MAC was made with. */
    dataKeyId: uuid('data_key_id').notNull(),
    /** Over all the columns above and the MAC of the event before; see audit/event-mac.ts. */
    mac: bytea('mac').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.chain, table.sequence] }),
    // Newest first is these, read backwards: what is added is added at their ends.
    index('audit_events_by_time').on(table.occurredAt, table.id),
    index('audit_events_of_chain_by_time').on(table.chain, table.occurredAt, table.id),
    // A change is found among any number of reveals.
    index('audit_events_changes_by_time')
      .on(table.chain, table.occurredAt, table.id)
      .where(sql`${table.action} <> 'provider_key.revealed'`),
  ],
);

/** The newest event of each chain. Whoever adds one locks the row first; it is made with the organisation, by a trigger. */
export const auditChains = keyService.table('audit_chains', {
  chain: uuid('chain').primaryKey(),
  /** 0 before the first event. */
  sequence: bigint('sequence', { mode: 'number' }).notNull().default(0),
  mac: bytea('mac').notNull().default(sql`''::bytea`),
});

/** Where retention has cut a chain: the newest event that is gone, signed like an event. */
export const auditCheckpoints = keyService.table('audit_checkpoints', {
  chain: uuid('chain').primaryKey(),
  sequence: bigint('sequence', { mode: 'number' }).notNull(),
  mac: bytea('mac').notNull(),
  cutAt: instant('cut_at').notNull(),
  dataKeyId: uuid('data_key_id').notNull(),
  signature: bytea('signature').notNull(),
});
