import { bigint, index, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import { instant, keyService } from './columns.ts';

/**
 * How often keys were used: a row for each subject, hour and outcome that was not zero. A subject is an API key, or an
 * organisation, for the sums over its keys: what is asked of it reads no more rows for a thousand keys than for one. No
 * foreign key: counts outlive what they are of, until they are old.
 */
export const usageCounts = keyService.table(
  'usage_counts',
  {
    subjectId: uuid('subject_id').notNull(),
    /** Its beginning, in UTC. */
    hour: instant('hour').notNull(),
    /** `valid`, or an error code; see usage/key-use.ts. */
    outcome: text('outcome').notNull(),
    count: bigint('count', { mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.subjectId, table.hour, table.outcome] }),
    // For the janitor.
    index('usage_counts_by_hour').on(table.hour),
  ],
);

/** Who writes usage, and the last batch that each has written: one whose fate is not known is not written twice. */
export const usageWriters = keyService.table('usage_writers', {
  id: uuid('id').primaryKey(),
  batch: bigint('batch', { mode: 'number' }).notNull(),
  writtenAt: instant('written_at').notNull(),
});
