import { expect, it } from 'vitest';
import { prepareAppend } from '../../../src/audit/append-store.ts';
import type { Database } from '../../../src/database/database.ts';

const head = { chain: '01890000-0000-7000-8000-000000000002', sequence: 1, mac: Buffer.alloc(32) };

it.each([
  ['nothing', []],
  ['fewer chains than there are', [{ moved: 0, overtaken: [] }]],
  ['more chains than there are', [{ moved: 1, overtaken: [head.chain] }]],
])('An answer of the database that speaks of %s does not say that events are stored', async (_, rows) => {
  const database = { prepare: () => async () => rows } as unknown as Database;
  const batch = { before: [head], after: [{ ...head, sequence: 2 }], events: [] };
  await expect(prepareAppend(database).append(batch, 1_000)).rejects.toThrow('unaccounted');
});
