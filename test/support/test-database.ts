import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { createDatabase, dropDatabase } from './database-server.ts';

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A database of the test's own: a copy of the migrated one, or an empty one. */
export async function createTestDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const adminUrl = inject('adminUrl');
  const name = `key_service_test_${randomBytes(8).toString('hex')}`;
  const url = await createDatabase(adminUrl, name, empty ? undefined : inject('templateDatabase'));
  return { url, drop: () => dropDatabase(adminUrl, name) };
}
