import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataKeys, MasterKeyMismatch } from '../../src/data-keys/data-keys.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { masterKeyFromBytes } from '../../src/encryption/master-key.ts';
import { ensureOrganization } from '../../src/organizations/organizations.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let own: TestDatabase;
let database: Database;
beforeAll(async () => {
  own = await createTestDatabase();
  database = openDatabase({ server: { url: own.url, pooled: false }, poolMax: 10, onIdleConnectionLost: () => {} });
});
afterAll(async () => {
  await database.close(1_000);
  await own.drop();
});

const masterKey = masterKeyFromBytes(randomBytes(32));
const damaged: string[] = [];
const onDamaged = (id: string) => damaged.push(id);

async function organization(): Promise<string> {
  return database.query((queries) => ensureOrganization(queries, newOrganization()));
}

describe('A data key', () => {
  const dataKeys = new DataKeys(masterKey, { onDamaged, maxSeals: 3 });
  const forSealing = (id: string) => database.transaction((queries) => dataKeys.forSealing(queries, id));

  it('seals as often as it may and then gives way to a new one, while it still opens what it sealed', async () => {
    const org = await organization();
    const used = [await forSealing(org), await forSealing(org), await forSealing(org), await forSealing(org)];
    const [first, second, third, fourth] = used.map(({ id }) => id);
    expect([second, third]).toEqual([first, first]);
    expect(fourth).not.toBe(first);
    const rows = await execute<{ id: string; seals: string; retired: boolean }>(
      own.url,
      'select id, seals, retired_at is not null as retired from key_service.data_keys where organization_id = $1 order by id',
      [org],
    );
    expect(rows).toEqual([
      { id: first, seals: '3', retired: true },
      { id: fourth, seals: '1', retired: false },
    ]);
  });

  it('is never shared beyond its limit, however many seal at once', async () => {
    const org = await organization();
    const used = await Promise.all(Array.from({ length: 10 }, () => forSealing(org)));
    const counts = new Map<string, number>();
    for (const { id } of used) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(3);
    const current = await execute(
      own.url,
      'select 1 from key_service.data_keys where organization_id = $1 and retired_at is null',
      [org],
    );
    expect(current).toHaveLength(1);
  });

  it('is retired when it was altered, so that the next secret can be sealed', async () => {
    const org = await organization();
    const { id } = await forSealing(org);
    await execute(
      own.url,
      'update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) where id = $1',
      [id],
    );
    const next = await forSealing(org);
    expect(next.id).not.toBe(id);
    expect(damaged).toEqual([id]);
  });

  it('of another master key is neither used nor retired: it is this process that must not seal', async () => {
    const org = await organization();
    const { id } = await forSealing(org);
    const stranger = new DataKeys(masterKeyFromBytes(randomBytes(32)), { onDamaged });
    await expect(database.transaction((queries) => stranger.forSealing(queries, org))).rejects.toThrow('wrong_key');
    expect((await forSealing(org)).id).toBe(id);
  });
});

describe('The check at start', () => {
  it('refuses a master key that did not wrap what is there, and changes nothing', async () => {
    await new DataKeys(masterKey, { onDamaged }).check(database);
    const before = await execute(own.url, 'select * from key_service.data_keys order by id');
    const stranger = new DataKeys(masterKeyFromBytes(randomBytes(32)), { onDamaged });
    await expect(stranger.check(database)).rejects.toThrow(MasterKeyMismatch);
    expect(await execute(own.url, 'select * from key_service.data_keys order by id')).toEqual(before);
  });

  it('refuses a database whose system data key is gone while others remain that it did not wrap', async () => {
    await execute(own.url, "delete from key_service.data_keys where purpose = 'system'");
    const stranger = new DataKeys(masterKeyFromBytes(randomBytes(32)), { onDamaged });
    await expect(stranger.check(database)).rejects.toThrow(masterKey.id);
    await new DataKeys(masterKey, { onDamaged }).check(database);
  });
});
