import { sql } from 'drizzle-orm';
import { type AnyPgColumn, customType, pgSchema, timestamp } from 'drizzle-orm/pg-core';

/** A PostgreSQL schema of its own, so that the service can share a database. Drizzle's journal lives in it too. */
export const SCHEMA_NAME = 'key_service';
/** Not part of the index: drizzle-kit would make the schema in a migration, and it is there before the first one. */
export const keyService = pgSchema(SCHEMA_NAME);

export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
/** Milliseconds, as on the wire: what is stored is what is shown. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/** Also what is written past the service has the form that validations count by. */
export const rateLimitFits = (column: AnyPgColumn) =>
  sql`${column} is null or ((${column} ->> 'limit')::int between 1 and 1000000000 and (${column} ->> 'windowSeconds')::int between 1 and 86400) is true`;
