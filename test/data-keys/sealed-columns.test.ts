import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SEALED_COLUMNS, WRAPPED_COLUMN } from '../../src/cli/sealed-columns.ts';
import { AuditKeys } from '../../src/data-keys/audit-keys.ts';
import { proveMasterKeys } from '../../src/data-keys/master-key-proof.ts';
import { rollDataKeys } from '../../src/data-keys/roll-all.ts';
import { rewrapDataKeys } from '../../src/data-keys/rotation.ts';
import { noChangeFeed } from '../../src/database/change-feed/change-feed.ts';
import { Keyring } from '../../src/encryption/keyring.ts';
import type { MasterKey } from '../../src/encryption/master-key.ts';
import { sealedWith } from '../../src/encryption/sealed-secret.ts';
import { IdempotentAnswers } from '../../src/idempotency/idempotent-answers.ts';
import { RevealGate } from '../../src/reveal-freezes/reveal-gate.ts';
import { quietAudit } from '../support/audit.ts';
import { createVaultDatabase, fillVault, newMasterKey, unrecorded, type VaultDatabase } from '../support/vault.ts';

/** Bytes that nobody sealed, and why they are bytes. Whoever adds one says here that it needs no key. */
const NOT_SEALED: Record<string, string> = {
  'api_keys.key_hash': 'the SHA-256 of an API key',
  'service_keys.key_hash': 'the SHA-256 of a service key',
  'idempotent_replies.scope': 'a SHA-256 of what is no secret',
  'idempotent_replies.body_mac': 'a MAC',
  'audit_events.mac': 'a MAC',
  'audit_chains.mac': 'a MAC',
  'audit_checkpoints.mac': 'a MAC',
  'audit_checkpoints.signature': 'a MAC',
};

let own: VaultDatabase;
beforeAll(async () => {
  own = await createVaultDatabase();
});
afterAll(() => own.close());

const nameOf = ({ table, column }: { table: string; column: string }) => `${table}.${column}`;
const covered = [WRAPPED_COLUMN, ...SEALED_COLUMNS].map(nameOf);

async function bytesColumns(): Promise<string[]> {
  const rows = await own.sql<{ table: string; column: string }>(
    `select table_name as "table", column_name as "column" from information_schema.columns
     where table_schema = 'key_service' and (data_type = 'bytea' or udt_name = '_bytea')`,
  );
  return rows.map(nameOf);
}
const unknownColumns = async () =>
  (await bytesColumns()).filter((name) => !covered.includes(name) && NOT_SEALED[name] === undefined);

const caller = { kind: 'system', name: 'test', requestId: 'test', address: null } as const;

/** Answers of requests that have a key each. */
async function keepReplies(masterKey: MasterKey, replies: number): Promise<void> {
  const { database } = own;
  const { dataKeys } = own.vault(masterKey);
  const auditKeys = new AuditKeys(database, dataKeys);
  const audit = quietAudit(database, dataKeys);
  const gate = new RevealGate({ database, changes: noChangeFeed });
  const answers = new IdempotentAnswers({ database, dataKeys, auditKeys, audit, gate, onOutcome: () => {} });
  for (let n = 0; n < replies; n += 1) {
    const request = { caller, key: `key-${n}`, route: 'POST /', params: {}, body: {}, showsKey: false };
    await answers.answerOnce(request, async () => ({ reply: { status: 200, body: { n } } }));
  }
}

describe('Every column of the schema that holds bytes', () => {
  it('is wrapped anew by a rotation, sealed anew by a roll, or known to hold nothing that is sealed', async () => {
    expect(await unknownColumns()).toEqual([]);
  });

  it('is there, of those that are said to be', async () => {
    const columns = await bytesColumns();
    for (const name of [...covered, ...Object.keys(NOT_SEALED)]) expect(columns).toContain(name);
  });

  it('is found when it is new', async () => {
    await own.sql('create table key_service.newcomers (secret bytea, secrets bytea[])');
    expect((await unknownColumns()).toSorted()).toEqual(['newcomers.secret', 'newcomers.secrets']);
    await own.sql('drop table key_service.newcomers');
  });
});

describe('After a rotation and a roll', () => {
  it('no sealed column has a value of a data key from before, and no data key is wrapped by the master key from before', async () => {
    const [before, after] = [newMasterKey(), newMasterKey()];
    await proveMasterKeys(own.database, own.vault(before).dataKeys);
    const filled = await fillVault(own.vault(before), 4);
    const org = filled[0]?.org ?? '';
    const { id, key } = await own.vault(before).issue(org);
    await keepReplies(before, 4);
    const old = await own.sql<{ id: string }>('select id from key_service.data_keys');
    const { database } = own;
    const quietly = { runRecorded: unrecorded(database), onBegin: () => {}, onBatch: () => {} };
    await rewrapDataKeys({ database, keyring: new Keyring(after, [before]), batchSize: 10, ...quietly });
    const { dataKeys } = own.vault(after);
    await rollDataKeys({ database, dataKeys, columns: SEALED_COLUMNS, batchSize: 10, ...quietly });
    for (const { table, column } of SEALED_COLUMNS) {
      const values = await own.sql<{ value: Buffer }>(`select "${column}" as value from key_service."${table}"`);
      expect(values.length, `${table}.${column} has to be filled by this test`).toBeGreaterThan(0);
      for (const { value } of values) expect(old.map(({ id }) => id)).not.toContain(sealedWith(value));
    }
    const { table } = WRAPPED_COLUMN;
    const masterKeys = await own.sql(`select distinct master_key_id as id from key_service."${table}"`);
    expect(masterKeys).toEqual([{ id: after.id }]);
    for (const { org, secret } of filled) expect(await own.vault(after).reveal(org, 'openai')).toBe(secret);
    expect(await own.vault(after).recover(org, id)).toBe(key);
  });
});
