import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../../development/embedded-postgres/embedded-postgres.ts';

const TIMEOUT = { timeout: 30_000 };

/** As of a root whose home nobody else may enter. */
let home: string;
let places: string[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'relocated-database-'));
  places = [];
});

afterEach(async () => {
  for (const place of [home, ...places]) await rm(place, { recursive: true, force: true });
});

describe.runIf(process.getuid?.() === 0)(
  "root's database in a directory that its account cannot reach",
  TIMEOUT,
  () => {
    it('lives elsewhere, says where, and is found again', async () => {
      const [first, second] = [await startAndStop(), await startAndStop()];
      expect(second).toEqual(first);
      expect(existsSync(join(first.place, 'cluster'))).toBe(true);
      expect((await stat(first.place)).uid).toBe(0);
    });

    it('is left behind by nobody: with a new directory at the same path it makes room', async () => {
      const first = await startAndStop();
      await rm(join(home, 'data'), { recursive: true });
      const second = await startAndStop();
      expect(second.place).not.toBe(first.place);
      expect(existsSync(first.place)).toBe(false);
    });
  },
);

async function startAndStop(): Promise<{ url: string; place: string }> {
  let place = '';
  const server = await startEmbeddedPostgres({
    directory: join(home, 'data', 'postgres'),
    database: 'rooms',
    durable: false,
    onProgress: (message) => {
      place = /lives in (\S+):/.exec(message)?.[1] ?? place;
    },
  });
  places.push(place);
  await server.stop();
  return { url: server.url, place };
}
