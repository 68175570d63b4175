import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { developmentEncryptionKey, developmentServiceKey } from '../../development/secrets.ts';

let parent: string;
let directory: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'secrets-'));
  directory = join(parent, 'data');
});

afterEach(() => rm(parent, { recursive: true, force: true }));

describe('development secrets', () => {
  it('have the form that the service asks for', async () => {
    expect(await developmentServiceKey(directory)).toMatch(/^dev_[\w-]{43}$/);
    expect(await developmentEncryptionKey(directory)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('are the same for everybody, also for those who ask first and at once', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => developmentServiceKey(directory)));
    expect(new Set(keys).size).toBe(1);
    expect(await developmentServiceKey(directory)).toBe(keys[0]);
  });

  it('are readable by their owner alone, and leave nothing else behind', async () => {
    await Promise.all([developmentServiceKey(directory), developmentEncryptionKey(directory)]);
    expect((await readdir(directory)).sort()).toEqual(['encryption-key', 'service-key']);
    expect(await modeOf(directory)).toBe(0o700);
    expect(await modeOf(join(directory, 'service-key'))).toBe(0o600);
    expect(await modeOf(join(directory, 'encryption-key'))).toBe(0o600);
  });
});

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}
