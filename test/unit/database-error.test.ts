import { inspect } from 'node:util';
import { DrizzleQueryError } from 'drizzle-orm/errors';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import {
  ConnectionTrouble,
  databaseError,
  isConnectionTrouble,
  sqlStateOf,
} from '../../src/database/database-error.ts';
import { ServiceError } from '../../src/errors.ts';

const CANARY = 'canary-not-a-real-secret';

/** What PostgreSQL reports, as it reaches us through the driver and Drizzle. */
function reported(sqlState: string): DrizzleQueryError {
  const cause = new pg.DatabaseError(`message ${CANARY}`, 100, 'error');
  Object.assign(cause, { code: sqlState, detail: CANARY, where: CANARY });
  return new DrizzleQueryError(`select '${CANARY}'`, [CANARY], cause);
}
const fromDriver = () => new DrizzleQueryError(`select '${CANARY}'`, [CANARY], new Error('Connection terminated'));

describe('databaseError', () => {
  it.each([
    ['08006', 'connection failure'],
    ['08P01', 'protocol violation'],
    ['28P01', 'invalid password'],
    ['3D000', 'no such database'],
    ['40001', 'serialization failure'],
    ['40P01', 'deadlock'],
    ['53100', 'disk full'],
    ['53300', 'too many connections'],
    ['57014', 'statement timeout'],
    ['57P01', 'shutting down'],
    ['57P03', 'starting up'],
    ['58030', 'I/O error'],
    ['25006', 'read-only transaction'],
    ['25P03', 'idle in transaction for too long'],
    ['55P03', 'lock not available'],
  ])('makes %s (%s) database_unavailable: the same may succeed later', (sqlState) => {
    expect(databaseError(reported(sqlState))).toMatchObject({ code: 'database_unavailable', context: { sqlState } });
  });

  it.each([
    ['22P02', 'invalid text representation'],
    ['23505', 'unique violation'],
    ['23514', 'check violation'],
    ['25P02', 'in failed transaction'],
    ['42501', 'insufficient privilege'],
    ['42P01', 'undefined table'],
    ['55000', 'object not in prerequisite state'],
    ['XX000', 'internal error'],
  ])('makes %s (%s) internal_error: trying again changes nothing', (sqlState) => {
    expect(databaseError(reported(sqlState))).toMatchObject({ code: 'internal_error', context: { sqlState } });
  });

  it('takes what PostgreSQL reports directly for the same', () => {
    expect(databaseError(reported('57P01').cause)).toMatchObject({ code: 'database_unavailable' });
    expect(databaseError(reported('23505').cause)).toMatchObject({ code: 'internal_error' });
  });

  it.each([
    ['a driver that lost its connection', fromDriver()],
    ['a trip that took too long', new ConnectionTrouble('Time limit')],
    [
      'a connection that could not be had',
      new ConnectionTrouble('No connection', { cause: new Error('ECONNREFUSED') }),
    ],
  ])('makes %s database_unavailable, without an SQLSTATE', (_what, error) => {
    expect(databaseError(error)).toMatchObject({ code: 'database_unavailable', context: { sqlState: null } });
  });

  it('reads the SQLSTATE behind a connection that was refused', () => {
    const refused = new ConnectionTrouble('No connection', { cause: reported('53300').cause });
    expect(databaseError(refused)).toMatchObject({ code: 'database_unavailable', context: { sqlState: '53300' } });
  });

  it('lets errors of our own and programming errors pass as they are', () => {
    const ours = new ServiceError('api_key_not_found', 'There is none.');
    const bug = new TypeError('undefined is not a function');
    expect(databaseError(ours)).toBe(ours);
    expect(databaseError(bug)).toBe(bug);
  });

  it.each(['57P01', '23505'])('keeps nothing of statement, parameters, message or detail of %s', (sqlState) => {
    const error = databaseError(reported(sqlState));
    expect(error).toBeInstanceOf(ServiceError);
    expect(error).not.toHaveProperty('cause');
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(CANARY);
  });

  it('keeps nothing of a statement that the driver failed on', () => {
    expect(inspect(databaseError(fromDriver()), { depth: null, showHidden: true })).not.toContain(CANARY);
  });
});

describe('isConnectionTrouble', () => {
  it('is true only where the connection itself is not to be used again', () => {
    expect(isConnectionTrouble(fromDriver())).toBe(true);
    expect(isConnectionTrouble(new ConnectionTrouble('Time limit'))).toBe(true);
    expect(isConnectionTrouble(reported('23505'))).toBe(false);
    expect(isConnectionTrouble(new Error('a bug'))).toBe(false);
  });
});

describe('sqlStateOf', () => {
  it('is null for whatever PostgreSQL did not report', () => {
    expect(sqlStateOf(reported('23505'))).toBe('23505');
    expect(sqlStateOf(fromDriver())).toBeNull();
    expect(sqlStateOf(Object.assign(new Error('x'), { code: '23505' }))).toBeNull();
    expect(sqlStateOf('23505')).toBeNull();
  });
});
