import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const CHECK = fileURLToPath(new URL('../../development/check-migrations.mjs', import.meta.url));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'migrations-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the check of the migrations', () => {
  it('passes a journal that moves forward and has a script for every entry', async () => {
    await writeMigrations([entry(0, 100), entry(1, 200)]);
    expect(check()).toEqual({ status: 0, message: '' });
  });

  it('refuses a migration that is older than the one before it: Drizzle would skip it', async () => {
    await writeMigrations([entry(0, 200), entry(1, 100)]);
    expect(check()).toMatchObject({ status: 1, message: expect.stringContaining('not newer than 0000_m') });
  });

  it('refuses a number that is given twice', async () => {
    await writeMigrations([entry(0, 100), { ...entry(1, 200), idx: 0 }]);
    expect(check()).toMatchObject({ status: 1, message: expect.stringContaining('idx 0') });
  });

  it('refuses an entry without a script', async () => {
    await writeMigrations([entry(0, 100), entry(1, 200)]);
    await rm(join(folder, '0001_m.sql'));
    expect(check()).toMatchObject({ status: 1, message: expect.stringContaining('0001_m.sql is missing') });
  });

  it('refuses a script that is not in the journal', async () => {
    await writeMigrations([entry(0, 100)]);
    await writeFile(join(folder, '0001_stray.sql'), '');
    expect(check()).toMatchObject({ status: 1, message: expect.stringContaining('0001_stray.sql') });
  });
});

interface Entry {
  idx: number;
  when: number;
  tag: string;
}

const entry = (idx: number, when: number): Entry => ({ idx, when, tag: `000${idx}_m` });

async function writeMigrations(entries: Entry[]): Promise<void> {
  await mkdir(join(folder, 'meta'));
  await writeFile(join(folder, 'meta', '_journal.json'), JSON.stringify({ entries }));
  for (const { tag } of entries) await writeFile(join(folder, `${tag}.sql`), 'SELECT 1;');
}

function check(): { status: number | null; message: string } {
  const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
  return { status, message: stderr };
}
