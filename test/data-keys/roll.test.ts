import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SEALED_COLUMNS } from '../../src/cli/sealed-columns.ts';
import { proveMasterKeys } from '../../src/data-keys/master-key-proof.ts';
import { type RollAllOptions, rollDataKeys } from '../../src/data-keys/roll-all.ts';
import { dataKeysOf } from '../../src/data-keys/status.ts';
import { newOrganization } from '../support/client.ts';
import {
  createVaultDatabase,
  fillVault,
  newMasterKey,
  newSecret,
  unrecorded,
  type Vault,
  type VaultDatabase,
} from '../support/vault.ts';

let own: VaultDatabase;
let vault: Vault;
const masterKey = newMasterKey();
beforeEach(async () => {
  own = await createVaultDatabase();
  vault = own.vault(masterKey);
  await proveMasterKeys(own.database, vault.dataKeys);
});
afterEach(() => own.close());

/** As a process of its own does it: with a memory of its own. */
async function roll(options: Partial<RollAllOptions> = {}) {
  const batches: number[] = [];
  let began: { owners: number; madeBefore: Date } | undefined;
  const result = await rollDataKeys({
    database: own.database,
    dataKeys: own.vault(masterKey).dataKeys,
    runRecorded: unrecorded(own.database),
    columns: SEALED_COLUMNS,
    batchSize: 2,
    onBegin(owners, madeBefore) {
      began = { owners, madeBefore };
    },
    onBatch: (count) => batches.push(count),
    ...options,
  });
  return { ...result, began, batches };
}
async function rowIdOf(org: string): Promise<string> {
  const [row] = await own.sql<{ id: string }>('select id from key_service.organizations where clerk_org_id = $1', [
    org,
  ]);
  return row?.id ?? '';
}
const factsOf = async (org: string) => dataKeysOf(own.database, await rowIdOf(org), SEALED_COLUMNS);

describe('Rolling data keys', () => {
  it("seals the platform's own keys anew, and every earlier version of a key: each opens as what it was saved as", async () => {
    const org = newOrganization();
    const secrets = Array.from({ length: 11 }, newSecret);
    for (const secret of secrets) await vault.save(org, 'openai', secret);
    await vault.savePlatforms('openai', 'not-a-real-secret-of-the-platform');
    expect(await roll()).toMatchObject({ owners: 2, resealed: 11, removed: 2, unreadable: [] });
    const after = own.vault(masterKey);
    expect(await after.revealPlatforms('openai')).toBe('not-a-real-secret-of-the-platform');
    // From the second on: the first was destroyed as the eleventh oldest. Each rollback destroys another.
    for (let version = 2; version <= 11; version += 1) {
      await after.rollback(org, 'openai', version);
      expect(await after.reveal(org, 'openai')).toBe(secrets[version - 1]);
    }
  });

  it('seals every secret anew with a new data key of its organisation, and removes the old one', async () => {
    const filled = await fillVault(vault, 3);
    const [first] = filled;
    const org = first?.org ?? '';
    for (const provider of ['anthropic', 'mistral', 'groq']) await vault.save(org, provider, `not-a-real-${provider}`);
    const before = await factsOf(org);
    expect(before).toMatchObject([{ secrets: 4, retiredAt: null }]);
    const sealed = await own.sql('select sealed from key_service.provider_key_versions');
    expect(await roll()).toMatchObject({
      owners: 4,
      resealed: 6,
      removed: 4,
      unreadable: [],
      began: { owners: 4 },
      batches: [1, 2, 1],
    });
    const after = await factsOf(org);
    expect(after).toMatchObject([{ secrets: 4, retiredAt: null }]);
    expect(after[0]?.id).not.toBe(before[0]?.id);
    const resealed = await own.sql('select sealed from key_service.provider_key_versions');
    expect(
      resealed.filter((row) => sealed.some((old) => (old['sealed'] as Buffer).equals(row['sealed'] as Buffer))),
    ).toEqual([]);
    for (const { org: id, secret } of filled) expect(await own.vault(masterKey).reveal(id, 'openai')).toBe(secret);
    for (const provider of ['anthropic', 'mistral', 'groq']) {
      expect(await own.vault(masterKey).reveal(org, provider)).toBe(`not-a-real-${provider}`);
    }
  });

  it('seals the copies of recoverable API keys anew while keys are issued and recovered, and reports one that does not open', async () => {
    const org = newOrganization();
    const keys = [await vault.issue(org), await vault.issue(org), await vault.issue(org)];
    const replica = own.vault(masterKey);
    const [, meanwhile] = await Promise.all([
      roll(),
      (async () => {
        for (let n = 0; n < 10; n += 1) {
          const issued = await replica.issue(org);
          expect(await vault.recover(org, issued.id)).toBe(issued.key);
          keys.push(issued);
        }
      })(),
    ]);
    expect(meanwhile).toBeUndefined();
    await roll();
    for (const { id, key } of keys) expect(await own.vault(masterKey).recover(org, id)).toBe(key);
    expect(await factsOf(org)).toMatchObject([{ secrets: keys.length, retiredAt: null }]);
    const [damaged] = keys;
    await own.sql(
      'update key_service.api_key_copies set sealed = set_byte(sealed, 50, get_byte(sealed, 50) # 1) where api_key_id = $1',
      [damaged?.id],
    );
    expect((await roll()).unreadable).toEqual([{ name: `api_key_copies ${damaged?.id}`, reason: 'not_authentic' }]);
  });

  it('keeps the version, and the times that a list shows', async () => {
    const org = newOrganization();
    await vault.save(org, 'openai', newSecret());
    const secret = newSecret();
    await vault.save(org, 'openai', secret);
    const rows = () => own.sql('select version, created_at, updated_at from key_service.provider_keys');
    const before = await rows();
    await roll();
    expect(await rows()).toEqual(before);
    expect(await own.vault(masterKey).save(org, 'openai', secret)).toMatchObject({ version: 2 });
  });

  it('does so for one organisation alone', async () => {
    const [one, other] = await fillVault(vault, 2);
    const before = await factsOf(other?.org ?? '');
    const result = await roll({ organizationId: await rowIdOf(one?.org ?? '') });
    expect(result).toMatchObject({ owners: 1, resealed: 1, removed: 1, batches: [1] });
    expect(await factsOf(other?.org ?? '')).toEqual(before);
  });

  it('leaves a data key alone that was made since the time that is given, and finishes what is sealed with older ones', async () => {
    const [one] = await fillVault(vault, 1);
    const { began } = await roll();
    const before = await factsOf(one?.org ?? '');
    expect(await roll({ madeBefore: began?.madeBefore ?? new Date(0) })).toMatchObject({ resealed: 0, removed: 0 });
    expect(await factsOf(one?.org ?? '')).toEqual(before);
    expect(await roll()).toMatchObject({ resealed: 1, removed: 2 });
  });

  it('is safe twice at once', async () => {
    const filled = await fillVault(vault, 6);
    const madeBefore = new Date(Date.now() + 60_000);
    const results = await Promise.all([roll(), roll(), roll({ madeBefore })]);
    expect(results.flatMap(({ unreadable }) => unreadable)).toEqual([]);
    await roll();
    for (const { org, secret } of filled) {
      expect(await own.vault(masterKey).reveal(org, 'openai')).toBe(secret);
      expect(await factsOf(org)).toMatchObject([{ secrets: 1 }]);
    }
  });

  it('reports a secret that does not open, by its row, does the rest, and keeps the data key that sealed it', async () => {
    const org = newOrganization();
    const secrets = new Map<string, string>();
    for (let n = 0; n < 5; n += 1) secrets.set(`provider-${n}`, newSecret());
    for (const [provider, secret] of secrets) await vault.save(org, provider, secret);
    const [damaged] = await own.sql<{ id: string }>(
      `update key_service.provider_key_versions set sealed = set_byte(sealed, 50, get_byte(sealed, 50) # 1)
       where provider_key_id = (select id from key_service.provider_keys where provider = 'provider-2')
       returning provider_key_id as id`,
    );
    const result = await roll({ organizationId: await rowIdOf(org) });
    expect(result).toMatchObject({
      resealed: 4,
      removed: 0,
      unreadable: [{ name: `provider_key_versions ${damaged?.id}/1`, reason: 'not_authentic' }],
    });
    expect((await factsOf(org)).map(({ secrets: held }) => held)).toEqual([1, 4]);
    for (const [provider, secret] of secrets) {
      if (provider !== 'provider-2') expect(await own.vault(masterKey).reveal(org, provider)).toBe(secret);
    }
    // Saving it again mends it, and keeps the damaged version for as long as it is one of ten. Without that the next roll
    // cleans up.
    await own.vault(masterKey).save(org, 'provider-2', newSecret());
    expect(await roll({ organizationId: await rowIdOf(org) })).toMatchObject({ resealed: 5, removed: 1 });
    await own.vault(masterKey).remove(org, 'provider-2');
    await own.vault(masterKey).save(org, 'provider-2', newSecret());
    expect(await roll({ organizationId: await rowIdOf(org) })).toMatchObject({
      resealed: 5,
      removed: 2,
      unreadable: [],
    });
  });

  it('reports every secret of a data key that does not open', async () => {
    const [one] = await fillVault(vault, 1);
    await own.sql(
      `update key_service.data_keys set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) where purpose = 'organization'`,
    );
    const { resealed, removed, unreadable } = await roll({ organizationId: await rowIdOf(one?.org ?? '') });
    expect({ resealed, removed, reasons: unreadable.map(({ reason }) => reason) }).toEqual({
      resealed: 0,
      removed: 0,
      reasons: ['not_authentic'],
    });
  });

  it('goes on with the others where an organisation is destroyed meanwhile', async () => {
    const filled = await fillVault(vault, 3);
    const ending = filled[1]?.org ?? '';
    const id = await rowIdOf(ending);
    const destroy = async () => {
      await own.sql(
        `update key_service.organizations set ended_at = now(), destroyed_at = now(), destroyed = '{}' where id = $1`,
        [id],
      );
      await own.sql(
        `delete from key_service.provider_key_versions v using key_service.provider_keys k
         where k.id = v.provider_key_id and k.organization_id = $1`,
        [id],
      );
      await own.sql('delete from key_service.data_keys where organization_id = $1', [id]);
    };
    const columns = SEALED_COLUMNS.map((column) => ({
      ...column,
      async list(...which: Parameters<typeof column.list>) {
        const values = await column.list(...which);
        if (values.some(({ place }) => place.organizationId === id)) await destroy();
        return values;
      },
    }));
    expect(await roll({ columns })).toMatchObject({ owners: 4, resealed: 2, removed: 3, unreadable: [] });
    expect(await factsOf(ending)).toEqual([]);
    for (const { org, secret } of filled) {
      if (org !== ending) expect(await own.vault(masterKey).reveal(org, 'openai')).toBe(secret);
    }
  });

  it('seals the secrets of an organisation anew that has ended and may come back', async () => {
    const [one] = await fillVault(vault, 1);
    const id = await rowIdOf(one?.org ?? '');
    const end = (at: string) => own.sql(`update key_service.organizations set ended_at = ${at} where id = $1`, [id]);
    await end('now()');
    expect(await roll()).toMatchObject({ owners: 2, resealed: 1, removed: 2, unreadable: [] });
    await end('null');
    expect(await own.vault(masterKey).reveal(one?.org ?? '', 'openai')).toBe(one?.secret);
  });

  it('holds up no save and no reveal, and leaves none of them with an old data key', async () => {
    const filled = await fillVault(vault, 2);
    const replicas = [own.vault(masterKey), own.vault(masterKey)];
    let isRolling = true;
    const saved = new Map<string, { secret: string; version: number }>();
    const traffic = replicas.flatMap((replica, number) =>
      filled.map(async ({ org, secret }) => {
        while (isRolling) {
          expect(await replica.reveal(org, 'openai')).toBe(secret);
          const next = newSecret();
          const { version } = await replica.save(org, `provider-${number}`, next);
          const name = `${org} provider-${number}`;
          expect(version).toBe((saved.get(name)?.version ?? 0) + 1);
          saved.set(name, { secret: next, version });
          expect(await replica.reveal(org, `provider-${number}`)).toBe(next);
        }
      }),
    );
    try {
      for (let round = 0; round < 10; round += 1) expect((await roll()).unreadable).toEqual([]);
    } finally {
      isRolling = false;
    }
    await Promise.all(traffic);
    // The last roll has left nothing behind, though replicas had seals of the data key before in memory.
    const held = await Promise.all(filled.map(({ org }) => factsOf(org)));
    for (const keys of held) expect(keys.filter(({ retiredAt }) => retiredAt !== null)).toEqual([]);
    for (const [name, { secret }] of saved) {
      const [org = '', provider = ''] = name.split(' ');
      expect(await own.vault(masterKey).reveal(org, provider)).toBe(secret);
    }
    expect(saved.size).toBe(4);
  });
});
