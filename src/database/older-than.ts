import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { ListPosition } from '../paging.ts';

/** What comes after a place in a list that is sorted by these two columns, newest first. */
export function olderThan(table: { createdAt: PgColumn; id: PgColumn }, { createdAt, id }: ListPosition): SQL {
  return sql`(${table.createdAt}, ${table.id}) < (${createdAt.toISOString()}::timestamptz, ${id}::uuid)`;
}
