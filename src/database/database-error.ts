import { DrizzleQueryError } from 'drizzle-orm/errors';
import pg from 'pg';
import { ServiceError } from '../errors.ts';

/**
 * SQLSTATE classes and codes that mean "not now": the same statement may succeed later. From the PostgreSQL manual,
 * appendix A.
 */
const PASSING_CLASSES = new Set([
  '08', // connection exception
  '28', // authorization: the password was changed under us
  '3D', // the database is gone
  '40', // rolled back: deadlock, serialization
  '53', // insufficient resources: disk full, too many connections
  '57', // operator intervention: shutting down, statement timeout
  '58', // system error outside PostgreSQL
]);
const PASSING_CODES = new Set([
  '25006', // read-only: a standby
  '25P03', // idle in transaction for too long
  '55P03', // lock not available
]);

/** Raised by the triggers of migrations/…_organizations_end.sql: nothing is stored for an organisation that has ended. */
const ORGANIZATION_ENDED = 'KS001';

/** A connection could not be had, or a trip took too long. Never leaves this folder. */
export class ConnectionTrouble extends Error {
  override readonly name = 'ConnectionTrouble';
}

/**
 * Translates whatever a trip to the database threw. Errors of our own pass; the driver's are replaced, never
 * wrapped: their messages and details hold SQL and parameter values.
 */
export function databaseError(error: unknown): unknown {
  const sqlState = sqlStateOf(error);
  if (sqlState === null && !isConnectionTrouble(error)) return error;
  if (sqlState === ORGANIZATION_ENDED) return organizationDeleted();
  if (sqlState === null || PASSING_CLASSES.has(sqlState.slice(0, 2)) || PASSING_CODES.has(sqlState)) {
    return databaseUnavailable(sqlState);
  }
  return new ServiceError('internal_error', 'Something went wrong on our side.', { context: { sqlState } });
}

export function databaseUnavailable(sqlState: string | null = null): ServiceError {
  return new ServiceError('database_unavailable', 'The database cannot be reached at the moment. Try again shortly.', {
    context: { sqlState },
  });
}

export function organizationDeleted(): ServiceError {
  return new ServiceError(
    'organization_deleted',
    'This organisation was deleted; nothing can be stored for it any more.',
  );
}

/** PostgreSQL's own code for what went wrong, or null when the error is not one that PostgreSQL reported. */
export function sqlStateOf(error: unknown): string | null {
  const cause = error instanceof DrizzleQueryError || error instanceof ConnectionTrouble ? error.cause : error;
  return cause instanceof pg.DatabaseError ? (cause.code ?? null) : null;
}

/** Whether the driver failed rather than PostgreSQL: the connection that it happened on is not to be used again. */
export function isConnectionTrouble(error: unknown): boolean {
  const fromDriver = error instanceof DrizzleQueryError || error instanceof ConnectionTrouble;
  return fromDriver && sqlStateOf(error) === null;
}
