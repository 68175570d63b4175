import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchPostgres, createServiceDatabase } from './database.ts';
import { createBetterAuthDatabase, fillNaive, fillServiceDatabase, ISSUED } from './fill.ts';
import { keysOf } from './keys.ts';
import type { LoadTool } from './load/load.ts';
import type { Servers } from './servers.ts';
import type { StandIns } from './stand-ins.ts';

/** How much is measured. */
export interface Effort {
  quick: boolean;
  rounds: number;
  seconds: number;
  warmUpSeconds: number;
}

/** V8 has optimised a way after some 50,000 requests. */
export const FULL: Effort = { quick: false, rounds: 5, seconds: 3, warmUpSeconds: 2 };
/** Enough to see that everything works; its figures are not to be believed. */
export const QUICK: Effort = { quick: true, rounds: 1, seconds: 1, warmUpSeconds: 1 };

export const CONNECTIONS = 32;
/** Keys that are asked about over and over. */
export const KNOWN_KEYS = 1000;
/** Keys in the database, unless a part says otherwise. */
const ROWS = 20_000;

/** What every part of a run is given. */
export interface Bench extends Shared {
  /** A file with the keys that are asked about over and over, one a line. */
  knownKeysFile: string;
  /** Two secrets of this run: every start of the service must find the same. */
  encryptionKey: string;
  serviceKey: string;
  /** The database of the service, with `ROWS` keys, and the naive service's table. Made when first asked for. */
  serviceDatabase(): Promise<string>;
  betterAuthDatabase(): Promise<string>;
}

interface Shared {
  effort: Effort;
  directory: string;
  postgres: BenchPostgres;
  servers: Servers;
  standIns: StandIns;
  loadTool: LoadTool;
  signal: AbortSignal;
  tell: (line: string) => void;
}

export async function openBench(shared: Shared): Promise<Bench> {
  const { directory, postgres, tell } = shared;
  const knownKeysFile = join(directory, 'known-keys');
  await writeFile(knownKeysFile, keysOf(ISSUED, 0, KNOWN_KEYS).join('\n'), { mode: 0o600 });
  return {
    ...shared,
    knownKeysFile,
    encryptionKey: randomBytes(32).toString('hex'),
    serviceKey: randomBytes(24).toString('hex'),
    serviceDatabase: once(async () => {
      tell(`making a database with ${ROWS} keys`);
      const url = await createServiceDatabase(postgres, 'key_service');
      await fillServiceDatabase(url, ROWS);
      await fillNaive(url);
      return url;
    }),
    betterAuthDatabase: once(() => createBetterAuthDatabase(postgres, ROWS)),
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
