import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MasterKeyMismatch, proveMasterKeys } from '../../src/data-keys/master-key-proof.ts';
import { MasterKeyUnavailable } from '../../src/encryption/master-key-unavailable.ts';
import {
  createVaultDatabase,
  fillVault,
  newMasterKey,
  ScriptedMasterKey,
  type VaultDatabase,
} from '../support/vault.ts';

let own: VaultDatabase;
beforeEach(async () => {
  own = await createVaultDatabase();
});
afterEach(() => own.close());

const prove = (...keys: Parameters<VaultDatabase['vault']>) =>
  proveMasterKeys(own.database, own.vault(...keys).dataKeys);
const dataKeyRows = () => own.sql('select * from key_service.data_keys order by id');

describe('The proof at start', () => {
  it('makes the data keys of an empty database that belong to nobody, once for replicas that start together', async () => {
    const masterKey = newMasterKey();
    await Promise.all(Array.from({ length: 5 }, () => prove(masterKey)));
    expect((await dataKeyRows()).map((row) => row['purpose']).toSorted()).toEqual(['audit', 'system']);
    for (const row of await dataKeyRows()) expect(row).toMatchObject({ master_key_id: masterKey.id });
  });

  it('refuses a master key that did not wrap what is there, with fingerprints and counts, and changes nothing', async () => {
    const masterKey = newMasterKey();
    await prove(masterKey);
    await fillVault(own.vault(masterKey), 2);
    const before = await dataKeyRows();
    const stranger = newMasterKey();
    const failure = await prove(stranger).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MasterKeyMismatch);
    expect((failure as Error).message).toContain(stranger.id);
    expect((failure as Error).message).toContain(`4 data key(s) need ${masterKey.id}`);
    expect(await dataKeyRows()).toEqual(before);
  });

  it('takes a current master key that was never seen, where the accepted one opens what is there', async () => {
    const [before, after] = [newMasterKey(), newMasterKey()];
    await prove(before);
    expect(await prove(after, [before])).toBeNull();
    await fillVault(own.vault(after, [before]), 1);
    // A replica that is not deployed yet accepts the new one, and wraps with the old one.
    expect(await prove(before, [after])).toBeNull();
  });

  it('refuses both a current master key and accepted ones of which none opens one of the data keys', async () => {
    const [first, second, third] = [newMasterKey(), newMasterKey(), newMasterKey()];
    await prove(first);
    await fillVault(own.vault(second, [first]), 1);
    await expect(prove(first, [third])).rejects.toThrow(`1 data key(s) need ${second.id}`);
    await expect(prove(third, [second])).rejects.toThrow(`2 data key(s) need ${first.id}`);
    expect(await prove(third, [second, first])).toBeNull();
  });

  it('refuses a database whose system data key is gone while others remain that it did not wrap', async () => {
    const masterKey = newMasterKey();
    await prove(masterKey);
    await fillVault(own.vault(masterKey), 1);
    await own.sql("delete from key_service.data_keys where purpose = 'system'");
    await expect(prove(newMasterKey())).rejects.toThrow(masterKey.id);
    expect(await prove(masterKey)).toBeNull();
  });

  it('refuses a system data key that was altered', async () => {
    const masterKey = newMasterKey();
    await prove(masterKey);
    await own.sql('update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)');
    await expect(prove(masterKey)).rejects.toThrow('does not open the system data key');
  });

  it('refuses an audit data key that was altered', async () => {
    const masterKey = newMasterKey();
    await prove(masterKey);
    await own.sql(
      `update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) where purpose = 'audit'`,
    );
    await expect(prove(masterKey)).rejects.toThrow('does not open the audit data key');
  });

  it('leaves the audit data key of an older database to be made when it is needed, while the master key is away', async () => {
    const masterKey = new ScriptedMasterKey();
    await prove(masterKey);
    await own.sql(`delete from key_service.data_keys where purpose = 'audit'`);
    const vault = own.vault(masterKey);
    masterKey.before = () => Promise.reject(new MasterKeyUnavailable('ECONNREFUSED'));
    expect(await proveMasterKeys(own.database, vault.dataKeys)).toBe('ECONNREFUSED');
    masterKey.before = async () => {};
    await fillVault(vault, 1);
    expect((await dataKeyRows()).map((row) => row['purpose']).toSorted()).toEqual(['audit', 'organization', 'system']);
  });

  it('is unreachable, and no mismatch, while the master key cannot be asked', async () => {
    const masterKey = new ScriptedMasterKey();
    await prove(masterKey);
    masterKey.before = () => Promise.reject(new MasterKeyUnavailable('ECONNREFUSED'));
    expect(await prove(masterKey)).toBe('ECONNREFUSED');
  });

  it('waits for a master key that takes a moment to be reached', async () => {
    const masterKey = new ScriptedMasterKey();
    await prove(masterKey);
    const asked = performance.now();
    masterKey.before = async () => {
      if (performance.now() - asked < 900) throw new MasterKeyUnavailable('ECONNREFUSED');
    };
    expect(await prove(masterKey)).toBeNull();
  });

  const refusal = () => Promise.reject(new MasterKeyUnavailable('AccessDeniedException', { isRefusal: true }));

  it('refuses a master key whose keeper refuses it, on an empty database too', async () => {
    const masterKey = new ScriptedMasterKey();
    masterKey.before = refusal;
    await expect(prove(masterKey)).rejects.toThrow(/refuses \(AccessDeniedException\)/);
    masterKey.before = async () => {};
    await prove(masterKey);
    masterKey.before = refusal;
    await expect(prove(masterKey)).rejects.toThrow(MasterKeyMismatch);
  });

  it('refuses a current master key that may not wrap, though an accepted one opens what is there', async () => {
    const before = newMasterKey();
    await prove(before);
    const after = new ScriptedMasterKey();
    after.before = refusal;
    await expect(prove(after, [before])).rejects.toThrow(MasterKeyMismatch);
    expect(after.asked).toEqual([]);
  });

  it('refuses an accepted master key that may not open what it wrapped, though the current one opens the system data key', async () => {
    const [current, accepted] = [newMasterKey(), new ScriptedMasterKey()];
    await prove(current, [accepted]);
    await fillVault(own.vault(accepted, [current]), 1);
    accepted.before = refusal;
    await expect(prove(current, [accepted])).rejects.toThrow(MasterKeyMismatch);
  });

  it('needs a master key that can be reached on an empty database, and says so', async () => {
    const masterKey = new ScriptedMasterKey();
    masterKey.before = () => Promise.reject(new MasterKeyUnavailable('ECONNREFUSED'));
    await expect(prove(masterKey)).rejects.toThrow(/cannot be reached \(ECONNREFUSED\), and the database is empty/);
    expect(await dataKeyRows()).toEqual([]);
  });
});
