import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { proveMasterKeys } from '../../src/data-keys/master-key-proof.ts';
import { masterKeyFromBytes } from '../../src/encryption/master-key.ts';
import { runCommand, spawnCommand } from '../support/command-line.ts';
import { createVaultDatabase, fillVault, newSecret, type VaultDatabase } from '../support/vault.ts';

/** Of commands that were in the middle of their work. In each round a rotation and a roll are killed, both at once. */
const KILLS = 100;
const MOST_ROUNDS = 150;
const ORGANIZATIONS = 40;
/** About what is left of either once it has said its first word. */
const LONGEST_LIFE_MS = 200;

const newKey = () => {
  const bytes = randomBytes(32);
  return { hex: bytes.toString('hex'), key: masterKeyFromBytes(bytes) };
};
const keys = [newKey(), newKey()] as const;
let own: VaultDatabase;
beforeAll(async () => {
  own = await createVaultDatabase();
  await proveMasterKeys(own.database, own.vault(keys[0].key).dataKeys);
});
afterAll(() => own.close());

/** With one of the two master keys as the current one, and the other accepted. */
const environmentOf = (current: 0 | 1) => ({
  KEY_SERVICE_DATABASE_URL: own.url,
  ENCRYPTION_KEY: keys[current].hex,
  ENCRYPTION_KEYS_ACCEPTED: keys[current === 0 ? 1 : 0].hex,
});

/** Kills it with -9 at a random moment after its first word. @returns whether that came before its end */
async function killAtRandom(args: string[], current: 0 | 1): Promise<boolean> {
  const command = spawnCommand(args, environmentOf(current));
  while (command.output() === '' && command.process.exitCode === null) await sleep(2);
  await sleep(Math.random() * LONGEST_LIFE_MS);
  const wasRunning = command.process.exitCode === null;
  command.process.kill('SIGKILL');
  await command.exit;
  return wasRunning;
}

/** What interrupted work leaves behind: data keys of both master keys, data keys that others have succeeded. */
async function halfDone() {
  const [row] = await own.sql<{ masters: string; retired: string }>(
    `select count(distinct master_key_id) as masters, count(retired_at) as retired from key_service.data_keys`,
  );
  return { rotation: Number(row?.masters) > 1, roll: Number(row?.retired) > 0 };
}

describe('kill -9 at random points', () => {
  it(`${KILLS} times, of rotations and rolls, while secrets are saved: every secret still opens, and a rerun finishes`, async () => {
    const vault = own.vault(keys[0].key, [keys[1].key]);
    const expected = new Map((await fillVault(vault, ORGANIZATIONS)).map(({ org, secret }) => [org, secret]));
    const orgs = [...expected.keys()];
    const save = async (round: number) => {
      const org = orgs[round % orgs.length] ?? '';
      const secret = newSecret();
      await vault.save(org, 'openai', secret);
      expected.set(org, secret);
      return false;
    };
    const seen = { kills: 0, halfRotated: 0, halfRolled: 0 };
    for (let round = 0; seen.kills < KILLS; round += 1) {
      expect(round, 'commands end before they are killed').toBeLessThan(MOST_ROUNDS);
      const [next, now] = round % 2 === 0 ? ([1, 0] as const) : ([0, 1] as const);
      const outcomes = await Promise.all([
        killAtRandom(['encryption', 'rotate', '--batch-size', '1'], next),
        // The master key that the round before has rotated to: a roll makes data keys with one that is in use.
        killAtRandom(['encryption', 'roll-data-keys', '--batch-size', '1'], now),
        save(round),
      ]);
      seen.kills += outcomes.filter(Boolean).length;
      const { rotation, roll } = await halfDone();
      if (rotation) seen.halfRotated += 1;
      if (roll) seen.halfRolled += 1;
      // With a memory of its own: what the database holds is what has to open.
      const witness = own.vault(keys[1].key, [keys[0].key]);
      for (const [org, secret] of expected) expect(await witness.reveal(org, 'openai')).toBe(secret);
    }
    // They were met in the middle.
    expect(seen.halfRotated).toBeGreaterThan(KILLS / 4);
    expect(seen.halfRolled).toBeGreaterThan(KILLS / 10);
    for (const command of ['rotate', 'roll-data-keys', 'rotate']) {
      expect(await runCommand(['encryption', command], environmentOf(1))).toMatchObject({ code: 0 });
    }
    const successor = own.vault(keys[1].key);
    for (const [org, secret] of expected) expect(await successor.reveal(org, 'openai')).toBe(secret);
    const left = await own.sql(
      'select 1 from key_service.data_keys where retired_at is not null or master_key_id <> $1',
      [keys[1].key.id],
    );
    expect(left).toEqual([]);
  }, 300_000);
});
