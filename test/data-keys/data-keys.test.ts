import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataKeyReplaced, DataKeys, type DataKeysOptions } from '../../src/data-keys/data-keys.ts';
import { Keyring } from '../../src/encryption/keyring.ts';
import { ensureOrganization } from '../../src/organizations/organizations.ts';
import { newOrganization } from '../support/client.ts';
import { createVaultDatabase, newMasterKey, type VaultDatabase } from '../support/vault.ts';

let own: VaultDatabase;
beforeAll(async () => {
  own = await createVaultDatabase();
});
afterAll(() => own.close());

const masterKey = newMasterKey();
const damaged: string[] = [];
const replica = (options: Partial<DataKeysOptions> = {}) =>
  new DataKeys({
    database: own.database,
    keyring: new Keyring(masterKey),
    onDamaged: (id) => damaged.push(id),
    ...options,
  });

async function organization(): Promise<string> {
  return own.database.query((queries) => ensureOrganization(queries, newOrganization()));
}
const rowsOf = (org: string) =>
  own.sql<{ id: string; seals: string; retired: boolean }>(
    'select id, seals, retired_at is not null as retired from key_service.data_keys where organization_id = $1 order by id',
    [org],
  );
const times = <T>(count: number, work: () => Promise<T>) => Promise.all(Array.from({ length: count }, work));

/** How often each was handed out. */
function usesOf(keys: { id: string }[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const { id } of keys) uses.set(id, (uses.get(id) ?? 0) + 1);
  return uses;
}

describe('A data key', () => {
  it('seals as often as it may and then gives way to a new one, while it still opens what it sealed', async () => {
    const dataKeys = replica({ maxSeals: 3, sealsAtOnce: 1 });
    const org = await organization();
    const used = [];
    for (let n = 0; n < 4; n += 1) used.push(await dataKeys.forSealing(org));
    const [first, second, third, fourth] = used.map(({ id }) => id);
    expect([second, third]).toEqual([first, first]);
    expect(fourth).not.toBe(first);
    expect(await rowsOf(org)).toEqual([
      { id: first, seals: '3', retired: true },
      { id: fourth, seals: '1', retired: false },
    ]);
  });

  it('that was destroyed while nothing could be learnt is forgotten when it can be', async () => {
    const dataKeys = replica();
    const [gone, kept] = [await organization(), await organization()];
    const destroyed = await dataKeys.forSealing(gone);
    const { stored } = await dataKeys.forSealing(kept);
    await own.sql('delete from key_service.data_keys where id = $1', [destroyed.id]);
    expect(dataKeys.unwrap(destroyed.stored)).not.toBeInstanceOf(Promise);
    await dataKeys.forgetRemoved();
    expect(dataKeys.unwrap(destroyed.stored)).toBeInstanceOf(Promise);
    expect(dataKeys.unwrap(stored)).not.toBeInstanceOf(Promise);
  });

  it('is never handed out beyond its limit, however many replicas seal at once', async () => {
    const org = await organization();
    const replicas = Array.from({ length: 3 }, () => replica({ maxSeals: 10, sealsAtOnce: 3 }));
    const used = await times(12, () => Promise.all(replicas.map((dataKeys) => dataKeys.forSealing(org))));
    const uses = usesOf(used.flat());
    expect([...uses.values()].reduce((sum, count) => sum + count, 0)).toBe(36);
    expect(Math.max(...uses.values())).toBeLessThanOrEqual(10);
    const rows = await rowsOf(org);
    expect(rows.filter(({ retired }) => !retired)).toHaveLength(1);
    // What was handed out was counted before, and no row counts more than it may.
    for (const { id, seals } of rows) {
      expect(Number(seals)).toBeGreaterThanOrEqual(uses.get(id) ?? 0);
      expect(Number(seals)).toBeLessThanOrEqual(10);
    }
  });

  it('is written once for a block of seals, however many are wanted at once', async () => {
    const dataKeys = replica({ sealsAtOnce: 64 });
    const org = await organization();
    const used = await times(64, () => dataKeys.forSealing(org));
    expect(usesOf(used).size).toBe(1);
    expect(await rowsOf(org)).toMatchObject([{ seals: '64' }]);
    await dataKeys.forSealing(org);
    expect(await rowsOf(org)).toMatchObject([{ seals: '128' }]);
  });

  it('loses no more than a block with the process that had taken it', async () => {
    const org = await organization();
    for (let crash = 1; crash <= 3; crash += 1) {
      await replica({ sealsAtOnce: 8 }).forSealing(org);
      expect(await rowsOf(org)).toMatchObject([{ seals: String(8 * crash) }]);
    }
  });

  it('counts what it sealed though the transaction around it is rolled back', async () => {
    const dataKeys = replica({ sealsAtOnce: 1 });
    const org = await organization();
    const undone = own.database.transaction(async () => {
      await dataKeys.forSealing(org);
      throw new Error('rolled back');
    });
    await expect(undone).rejects.toThrow('rolled back');
    expect(await rowsOf(org)).toMatchObject([{ seals: '1' }]);
  });

  it('is retired when it was altered, so that the next secret can be sealed', async () => {
    const org = await organization();
    const { id } = await replica().forSealing(org);
    await own.sql(
      'update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) where id = $1',
      [id],
    );
    const dataKeys = replica();
    const next = await times(5, () => dataKeys.forSealing(org));
    expect(usesOf(next).size).toBe(1);
    expect(next[0]?.id).not.toBe(id);
    expect(damaged).toEqual([id]);
  });

  it('of another master key is neither used nor retired: it is this process that must not seal', async () => {
    const org = await organization();
    const { id } = await replica().forSealing(org);
    const stranger = replica({ keyring: new Keyring(newMasterKey()) });
    await expect(stranger.forSealing(org)).rejects.toThrow('wrong_key');
    expect((await replica().forSealing(org)).id).toBe(id);
  });

  it('of an accepted master key is used', async () => {
    const org = await organization();
    const { id, key } = await replica().forSealing(org);
    const successor = replica({ keyring: new Keyring(newMasterKey(), [masterKey]) });
    expect(await successor.forSealing(org)).toMatchObject({ id, key });
  });

  it('of what belongs to no organisation is the one of the system', async () => {
    const dataKeys = replica();
    const { id, stored } = await dataKeys.forSealing(null);
    expect(stored).toMatchObject({ purpose: 'system', organizationId: null });
    expect((await dataKeys.forSealing(null)).id).toBe(id);
  });
});

describe('What was sealed', () => {
  const confirm = (dataKeys: DataKeys, key: Awaited<ReturnType<DataKeys['forSealing']>>) =>
    own.database.transaction((queries) => dataKeys.confirm(queries, key));

  it('may be stored while its data key is as it was, and other seals of it are taken', async () => {
    const [dataKeys, other] = [replica(), replica()];
    const org = await organization();
    const key = await dataKeys.forSealing(org);
    await other.forSealing(org);
    await expect(confirm(dataKeys, key)).resolves.toBeUndefined();
  });

  it.each([
    ['retired', 'update key_service.data_keys set retired_at = now() where id = $1'],
    ['removed', 'delete from key_service.data_keys where id = $1'],
    [
      'altered',
      'update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) where id = $1',
    ],
    ['named after another master key', `update key_service.data_keys set master_key_id = 'nobodys' where id = $1`],
  ])('may not be stored once its data key was %s', async (_what, change) => {
    const dataKeys = replica();
    const org = await organization();
    const key = await dataKeys.forSealing(org);
    await own.sql(change, [key.id]);
    await expect(confirm(dataKeys, key)).rejects.toThrow(DataKeyReplaced);
  });

  it('is sealed with the next data key after that, and not with what was in memory', async () => {
    const dataKeys = replica();
    const org = await organization();
    const old = await dataKeys.forSealing(org);
    await own.sql('update key_service.data_keys set retired_at = now() where id = $1', [old.id]);
    await expect(confirm(dataKeys, old)).rejects.toThrow(DataKeyReplaced);
    const next = await dataKeys.forSealing(org);
    expect(next.id).not.toBe(old.id);
    await expect(confirm(dataKeys, next)).resolves.toBeUndefined();
  });

  it('keeps its data key from being retired by a roll until it is stored, and not from having seals taken', async () => {
    const [dataKeys, other] = [replica(), replica({ sealsAtOnce: 7 })];
    const org = await organization();
    const key = await dataKeys.forSealing(org);
    let isStored = false;
    let locked: Promise<void> | undefined;
    await own.database.transaction(async (queries) => {
      await dataKeys.confirm(queries, key);
      locked = own
        .sql('select 1 from key_service.data_keys where id = $1 for update', [key.id])
        .then(() => expect(isStored).toBe(true));
      await other.forSealing(org);
      isStored = true;
    });
    await locked;
  });
});
