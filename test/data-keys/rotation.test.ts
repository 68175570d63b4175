import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { proveMasterKeys } from '../../src/data-keys/master-key-proof.ts';
import { rewrapDataKeys } from '../../src/data-keys/rotation.ts';
import { Keyring } from '../../src/encryption/keyring.ts';
import type { MasterKey } from '../../src/encryption/master-key.ts';
import { MasterKeyUnavailable } from '../../src/encryption/master-key-unavailable.ts';
import {
  createVaultDatabase,
  fillVault,
  newMasterKey,
  newSecret,
  ScriptedMasterKey,
  unrecorded,
  type VaultDatabase,
} from '../support/vault.ts';

let own: VaultDatabase;
const [before, after] = [newMasterKey(), newMasterKey()];
beforeEach(async () => {
  own = await createVaultDatabase();
  await proveMasterKeys(own.database, own.vault(before).dataKeys);
});
afterEach(() => own.close());

async function rotate(current: MasterKey, accepted: readonly MasterKey[], batchSize = 3) {
  const batches: number[] = [];
  let total = 0;
  const result = await rewrapDataKeys({
    database: own.database,
    keyring: new Keyring(current, accepted),
    runRecorded: unrecorded(own.database),
    batchSize,
    onBegin(count) {
      total = count;
    },
    onBatch: (count) => batches.push(count),
  });
  return { ...result, total, batches };
}
const wrappedBy = async () =>
  (await own.sql<{ id: string }>('select distinct master_key_id as id from key_service.data_keys')).map(({ id }) => id);

describe('Rotating the master key', () => {
  it('wraps every data key anew, those of no organisation too, and leaves what they sealed as it is', async () => {
    const filled = await fillVault(own.vault(before), 7);
    const sealed = await own.sql('select * from key_service.provider_key_versions order by 1, 2');
    const result = await rotate(after, [before]);
    expect(result).toEqual({ rewrapped: 9, unreadable: [], left: 0, total: 9, batches: [3, 3, 3] });
    expect(await wrappedBy()).toEqual([after.id]);
    expect(await own.sql('select * from key_service.provider_key_versions order by 1, 2')).toEqual(sealed);
    // The old one is needed no more.
    for (const { org, secret } of filled) expect(await own.vault(after).reveal(org, 'openai')).toBe(secret);
    await expect(proveMasterKeys(own.database, own.vault(before).dataKeys)).rejects.toThrow(after.id);
  });

  it('has nothing to do the second time', async () => {
    await fillVault(own.vault(before), 2);
    await rotate(after, [before]);
    const rows = await own.sql('select * from key_service.data_keys order by id');
    expect(await rotate(after, [before])).toMatchObject({ rewrapped: 0, left: 0, total: 0, batches: [] });
    expect(await own.sql('select * from key_service.data_keys order by id')).toEqual(rows);
  });

  it('is safe twice at once: each data key is wrapped anew by one of the two', async () => {
    const filled = await fillVault(own.vault(before), 20);
    const results = await Promise.all([
      rotate(after, [before], 2),
      rotate(after, [before], 5),
      rotate(after, [before]),
    ]);
    expect(results.reduce((sum, { rewrapped }) => sum + rewrapped, 0)).toBe(22);
    expect(results.flatMap(({ unreadable }) => unreadable)).toEqual([]);
    for (const { org, secret } of filled) expect(await own.vault(after).reveal(org, 'openai')).toBe(secret);
  });

  it('reports a data key that does not open, by its id, and wraps the rest', async () => {
    await fillVault(own.vault(before), 6);
    const ids = (
      await own.sql<{ id: string }>(
        `select id from key_service.data_keys where purpose = 'organization' order by id limit 3`,
      )
    ).map(({ id }) => id);
    await own.sql(
      'update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) where id = $1',
      [ids[0]],
    );
    await own.sql(`update key_service.data_keys set wrapped = ''::bytea where id = $1`, [ids[1]]);
    await own.sql(`update key_service.data_keys set master_key_id = 'nobodys' where id = $1`, [ids[2]]);
    const { rewrapped, unreadable, left } = await rotate(after, [before], 2);
    expect({ rewrapped, left }).toEqual({ rewrapped: 5, left: 3 });
    expect(unreadable.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: `data key ${ids[0]}`, reason: 'not_authentic' },
      { name: `data key ${ids[1]}`, reason: 'malformed' },
      { name: `data key ${ids[2]}`, reason: 'wrong_key' },
    ]);
  });

  it('comes back for a row that somebody held while it came by', async () => {
    await fillVault(own.vault(before), 5);
    const wrappedAnew = () => own.sql('select 1 from key_service.data_keys where master_key_id = $1', [after.id]);
    const held = await own.database.transaction(async (queries) => {
      await queries.execute(`select 1 from key_service.data_keys where purpose = 'system' for update`);
      const rotation = rotate(after, [before]);
      await expect.poll(async () => (await wrappedAnew()).length).toBe(6);
      return { rotation };
    });
    expect(await held.rotation).toMatchObject({ rewrapped: 7, left: 0, unreadable: [] });
  });

  it('goes on where a run ended because the master key went away', async () => {
    const far = new ScriptedMasterKey();
    const filled = await fillVault(own.vault(before), 10);
    let answers = 4;
    far.before = async () => {
      answers -= 1;
      if (answers < 0) throw new MasterKeyUnavailable('ECONNREFUSED');
    };
    await expect(rotate(far, [before], 2)).rejects.toMatchObject({ code: 'encryption_unavailable' });
    far.before = async () => {};
    expect(await rotate(far, [before], 2)).toMatchObject({ rewrapped: 8, left: 0 });
    for (const { org, secret } of filled) expect(await own.vault(far).reveal(org, 'openai')).toBe(secret);
  });

  it('holds up no save and no reveal of replicas at either step of a deploy, and loses nothing that they saved', async () => {
    const filled = await fillVault(own.vault(before, [after]), 5);
    const replicas = [own.vault(before, [after]), own.vault(after, [before])];
    let isRotating = true;
    const saved = new Map<string, string>();
    const traffic = replicas.map(async (vault, replica) => {
      while (isRotating) {
        for (const { org, secret } of filled) {
          expect(await vault.reveal(org, 'openai')).toBe(secret);
          const next = newSecret();
          await vault.save(org, `provider-${replica}`, next);
          saved.set(`${org} provider-${replica}`, next);
          expect(await vault.reveal(org, `provider-${replica}`)).toBe(next);
        }
      }
    });
    try {
      for (let round = 0; round < 6; round += 1) {
        await (round % 2 === 0 ? rotate(after, [before], 2) : rotate(before, [after], 2));
      }
      await rotate(after, [before]);
    } finally {
      isRotating = false;
    }
    await Promise.all(traffic);
    await rotate(after, [before]);
    const successor = own.vault(after);
    for (const { org, secret } of filled) expect(await successor.reveal(org, 'openai')).toBe(secret);
    for (const [name, secret] of saved) {
      const [org = '', provider = ''] = name.split(' ');
      expect(await successor.reveal(org, provider)).toBe(secret);
    }
  });
});
