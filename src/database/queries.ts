import type { NodePgDatabase } from 'drizzle-orm/node-postgres';

/** What a store is handed: the same type inside and outside a transaction. */
export type Queries = Pick<
  NodePgDatabase,
  'select' | 'selectDistinctOn' | 'insert' | 'update' | 'delete' | 'execute' | '$with' | 'with'
>;
