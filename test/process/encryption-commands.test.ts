import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NO_ORGANIZATION } from '../../src/audit/event.ts';
import { proveMasterKeys } from '../../src/data-keys/master-key-proof.ts';
import { masterKeyFromBytes } from '../../src/encryption/master-key.ts';
import { hasTerminals, runCommand, runOnTerminal } from '../support/command-line.ts';
import { createVaultDatabase, fillVault, type VaultDatabase } from '../support/vault.ts';

const newKey = () => {
  const bytes = randomBytes(32);
  return { hex: bytes.toString('hex'), key: masterKeyFromBytes(bytes) };
};
const [before, after] = [newKey(), newKey()];
let own: VaultDatabase;
let filled: { org: string; secret: string }[];
beforeEach(async () => {
  own = await createVaultDatabase();
  await proveMasterKeys(own.database, own.vault(before.key).dataKeys);
  filled = await fillVault(own.vault(before.key), 4);
});
afterEach(() => own.close());

const run = async (args: string, environment: NodeJS.ProcessEnv = {}) => {
  const { code, output } = await runCommand(args.split(' '), {
    KEY_SERVICE_DATABASE_URL: own.url,
    ENCRYPTION_KEY: after.hex,
    ENCRYPTION_KEYS_ACCEPTED: before.hex,
    ...environment,
  });
  for (const secret of [before.hex, after.hex, ...filled.map((each) => each.secret)])
    expect(output).not.toContain(secret);
  return { code, output };
};
const damage = () =>
  own.sql<{ id: string }>(
    `update key_service.data_keys set wrapped = ''::bytea where id = (select max(id::text)::uuid from key_service.data_keys)
     returning id`,
  );

/** What the audit has of commands, in order. */
const recorded = () =>
  own.sql<{ chain: string; action: string; actor: string; details: Record<string, unknown> }>(
    `select chain, action, actor, details from key_service.audit_events
     where actor_kind = 'command-line' order by occurred_at, sequence`,
  );
const damageAuditKey = () =>
  own.sql<{ id: string }>(
    `update key_service.data_keys set wrapped = ''::bytea where purpose = 'audit' and retired_at is null returning id`,
  );

describe('key-service encryption rotate', () => {
  it('is on record: each batch, with the master key and how many it has wrapped', async () => {
    await run('encryption rotate --batch-size 4');
    await run('encryption rotate');
    const rewrapped = { chain: NO_ORGANIZATION, action: 'data_keys.rewrapped', actor: 'encryption rotate' };
    expect(await recorded()).toEqual([
      { ...rewrapped, details: { masterKey: after.key.id, dataKeys: 4 } },
      { ...rewrapped, details: { masterKey: after.key.id, dataKeys: 2 } },
    ]);
    expect(await run('audit verify')).toMatchObject({ code: 0, output: expect.stringContaining('0 chain(s) were') });
  });

  it('goes on where it cannot be recorded, says so, and ends with 1', async () => {
    const [row] = await damageAuditKey();
    const { code, output } = await run('encryption rotate --batch-size 3');
    expect(code).toBe(1);
    expect(output).toContain('5 data key(s) wrapped anew.');
    expect(output).toContain(`data key ${row?.id} (malformed)`);
    expect(output).toContain('2 change(s) could not be recorded');
    expect(await recorded()).toEqual([]);
  });

  it('wraps every data key, with a line for each batch and a count at the end', async () => {
    const { code, output } = await run('encryption rotate --batch-size 2');
    expect({ code, lines: output.trim().split('\n') }).toEqual({
      code: 0,
      lines: [
        `Wrapping every data key with the master key ${after.key.id} …`,
        '2 of 6 data keys wrapped',
        '4 of 6 data keys wrapped',
        '6 of 6 data keys wrapped',
        '6 data key(s) wrapped anew. All are wrapped by this master key now.',
        expect.stringMatching(/^audit heads: 00000000-0000-0000-0000-000000000000 \d+ [0-9a-f]{32}$/),
      ],
    });
    for (const { org, secret } of filled) expect(await own.vault(after.key).reveal(org, 'openai')).toBe(secret);
    expect(await run('encryption rotate')).toMatchObject({ code: 0, output: expect.stringContaining('0 data key(s)') });
  });

  const skipped = hasTerminals ? '' : ' (SKIPPED: there is no `script` to make a terminal with)';
  it.skipIf(!hasTerminals)(`shows a bar on a terminal, and the same count at the end${skipped}`, async () => {
    const { code, output } = await runOnTerminal(['encryption', 'rotate', '--batch-size', '2'], {
      KEY_SERVICE_DATABASE_URL: own.url,
      ENCRYPTION_KEY: after.hex,
      ENCRYPTION_KEYS_ACCEPTED: before.hex,
    });
    expect(code).toBe(0);
    expect(output).toMatch(/█+ 6\/6 data keys wrapped/);
    expect(output).not.toContain('of 6 data keys wrapped');
    expect(output).toContain('6 data key(s) wrapped anew.');
  });

  it('names what it cannot open, does the rest, and ends with 1', async () => {
    const [row] = await damage();
    const { code, output } = await run('encryption rotate');
    expect(code).toBe(1);
    expect(output).toContain('5 data key(s) wrapped anew.');
    expect(output).toContain(`data key ${row?.id} (malformed)`);
  });

  it('changes nothing with master keys that open nothing', async () => {
    const rows = await own.sql('select * from key_service.data_keys order by id');
    const { code, output } = await run('encryption rotate', { ENCRYPTION_KEYS_ACCEPTED: '' });
    expect(code).toBe(1);
    expect(output.match(/\(wrong_key\)/g)).toHaveLength(6);
    expect(await own.sql('select * from key_service.data_keys order by id')).toEqual(rows);
  });

  it.each([
    ['no master key', { ENCRYPTION_KEY: '' }, 'ENCRYPTION_KEY is missing'],
    ['a weak one', { ENCRYPTION_KEY: '00'.repeat(32) }, 'ENCRYPTION_KEY is too weak'],
    [
      'a weak one among those accepted',
      { ENCRYPTION_KEYS_ACCEPTED: '00'.repeat(32) },
      'ENCRYPTION_KEYS_ACCEPTED has one',
    ],
    ['no database', { KEY_SERVICE_DATABASE_URL: '' }, 'KEY_SERVICE_DATABASE_URL is missing'],
  ])('begins nothing with %s', async (_what, environment, message) => {
    const { code, output } = await run('encryption rotate', environment);
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(output).not.toContain('    at ');
  });

  it.each(['0', '1001', 'many', '-1', '1.5'])('takes no batch size of %s', async (size) => {
    expect((await run(`encryption rotate --batch-size=${size}`)).code).toBe(1);
  });
});

describe('key-service encryption roll-data-keys', () => {
  const inUse = { ENCRYPTION_KEY: before.hex, ENCRYPTION_KEYS_ACCEPTED: after.hex };

  it('seals every secret anew, and says how an interrupted run is gone on with', async () => {
    const { code, output } = await run('encryption roll-data-keys', inUse);
    expect(code).toBe(0);
    expect(output).toContain('5 data key(s) rolled: 4 secret(s) sealed anew, 5 old data key(s) removed.');
    const [, since = ''] = /--made-before (\S+)/.exec(output) ?? [];
    const again = await run(`encryption roll-data-keys --made-before ${since}`, inUse);
    expect(again.output).toContain('5 data key(s) rolled: 0 secret(s) sealed anew, 0 old data key(s) removed.');
    for (const { org, secret } of filled) expect(await own.vault(before.key).reveal(org, 'openai')).toBe(secret);
  });

  it('is on record in the chain of each organisation, with the data keys that are no more', async () => {
    const old = await own.sql<{ id: string; organizationId: string | null }>(
      `select id, organization_id as "organizationId" from key_service.data_keys where purpose <> 'audit' order by id`,
    );
    await run('encryption roll-data-keys', inUse);
    const events = await recorded();
    expect(events.map(({ chain, details }) => ({ chain, dataKeys: details['dataKeys'] }))).toEqual(
      expect.arrayContaining(
        old.map(({ id, organizationId }) => ({ chain: organizationId ?? NO_ORGANIZATION, dataKeys: [id] })),
      ),
    );
    expect(events).toHaveLength(old.length);
    const rolled = { action: 'data_keys.rolled', actor: 'encryption roll-data-keys' };
    for (const event of events) expect(event).toMatchObject(rolled);
    expect(events.reduce((sum, { details }) => sum + Number(details['resealed']), 0)).toBe(4);
    expect(await run('audit verify', inUse)).toMatchObject({ code: 0 });
  });

  it('does so for one organisation, and knows no other than those there are', async () => {
    const { code, output } = await run(`encryption roll-data-keys --org ${filled[0]?.org}`, inUse);
    expect(code).toBe(0);
    expect(output).toContain('1 data key(s) rolled: 1 secret(s) sealed anew, 1 old data key(s) removed.');
    const unknown = await run('encryption roll-data-keys --org org_nobodys', inUse);
    expect(unknown).toEqual({ code: 1, output: 'The organisation org_nobodys is not known here.\n' });
  });

  it('names what it cannot open, and ends with 1', async () => {
    const [row] = await own.sql<{ id: string }>(
      `update key_service.provider_key_versions set sealed = ''::bytea
       where provider_key_id = (select max(provider_key_id::text)::uuid from key_service.provider_key_versions)
       returning provider_key_id as id`,
    );
    const { code, output } = await run('encryption roll-data-keys', inUse);
    expect(code).toBe(1);
    expect(output).toContain('3 secret(s) sealed anew, 4 old data key(s) removed.');
    expect(output).toContain(`provider_key_versions ${row?.id}/1 (malformed)`);
  });

  it.each([
    ['has wrapped nothing yet, so that replicas may not have it', {}, /wraps no data key yet.*encryption rotate/],
    ['does not open what is there', { ENCRYPTION_KEYS_ACCEPTED: '' }, /6 data key\(s\) need/],
  ])('changes nothing with a master key that %s', async (_what, environment, message) => {
    const rows = await own.sql('select * from key_service.data_keys order by id');
    const { code, output } = await run('encryption roll-data-keys', environment);
    expect(code).toBe(1);
    expect(output).toMatch(message);
    expect(await own.sql('select * from key_service.data_keys order by id')).toEqual(rows);
  });
});

describe('key-service encryption status', () => {
  it('says what each master key holds, before a rotation and after it', async () => {
    expect(await run('encryption status')).toEqual({
      code: 0,
      output: [
        `Master key ${after.key.id} (current) wraps 0 data key(s).`,
        `Master key ${before.key.id} (accepted) wraps 6 data key(s): it is needed until \`key-service encryption rotate\` has wrapped them anew.`,
        'Data keys: 6 current, 0 retired.',
        'Secrets: 4 sealed with current data keys, 0 with retired ones.',
        '',
      ].join('\n'),
    });
    await run('encryption rotate');
    const { output } = await run('encryption status');
    expect(output).toContain(`${after.key.id} (current) wraps 6 data key(s).`);
    expect(output).toContain(`${before.key.id} (accepted) wraps 0 data key(s): it can be removed`);
    expect(output).toContain('Backups that were made before may still need it.');
  });

  it('ends with 1 where a data key needs a master key that is not here', async () => {
    const { code, output } = await run('encryption status', { ENCRYPTION_KEYS_ACCEPTED: '' });
    expect(code).toBe(1);
    expect(output).toContain(`Master key ${before.key.id} (unknown) wraps 6 data key(s)`);
  });

  it('says what the data keys of one organisation hold', async () => {
    const org = filled[0]?.org ?? '';
    await own.sql('update key_service.data_keys set retired_at = now()');
    await own.vault(before.key).save(org, 'anthropic', 'not-a-real-secret');
    const { output } = await run(`encryption status --org ${org}`);
    expect(output).toMatch(
      /^Data key \S+ \(made \S+, retired \S+\) holds 1 secret\(s\), has had 256 seals .*\nData key \S+ \(made \S+, current\) holds 1 secret/,
    );
  });
});
