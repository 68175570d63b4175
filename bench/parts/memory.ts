import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Bench, CONNECTIONS, KNOWN_KEYS } from '../bench.ts';
import { compiledServer } from '../compile-servers.ts';
import { ISSUED } from '../fill.ts';
import { keysOf } from '../keys.ts';
import { askEach } from '../load/ask-each.ts';
import { asHolder } from '../load/connection.ts';
import type { MemoryFigures, Target } from '../results.ts';
import type { RunningServer } from '../servers.ts';
import { keyService } from '../subjects.ts';

const MIB = 1024 ** 2;
/** Few enough that a cache of 128 MiB holds them all. */
const HELD_KEYS = 40_000;
const SLICE = 20_000;
/** A service that needs a look-up for every key would take an hour for a million. */
const CYCLE_LIMIT_MS = 300_000;
const BYTES_PER_KEY = 1024;
/** CACHE_MAX_BYTES, as it is by default. */
const CACHE_MIB = 128;

/** What keys cost in memory, in a process of its own: one that can be told to collect its garbage. */
export async function measureMemory(bench: Bench, databaseUrl: string, keysInDatabase: number): Promise<MemoryFigures> {
  const { command } = await keyService(bench, { databaseUrl, environment: { USAGE_FLUSH_MS: '500' } });
  const server = await bench.servers.start({
    ...command,
    program: ['--expose-gc', '--import', pathToFileURL(compiledServer('memory-probe')).href, ...command.program],
    channel: true,
  });
  const ask = (from: number, to: number) =>
    askEach({
      port: server.port,
      connections: CONNECTIONS,
      requests: keysOf(ISSUED, from, to).map((key) => asHolder(key)),
      expectedStatus: 200,
    });
  try {
    // Few keys, many requests: everything that serving takes has been taken.
    for (let turn = 0; turn < (bench.effort.quick ? 2 : 20); turn += 1) await ask(0, KNOWN_KEYS);
    const baseResidentMiB = server.residentMiB();
    const base = await heapOf(server);

    const held = Math.min(HELD_KEYS, keysInDatabase / 2);
    await ask(KNOWN_KEYS, KNOWN_KEYS + held);
    const bytesPerKey = ((await heapOf(server)) - base) / held;

    const cycle = [{ keys: KNOWN_KEYS + held, residentMiB: server.residentMiB() }];
    const began = Date.now();
    let at = KNOWN_KEYS + held;
    while (at < keysInDatabase && Date.now() - began < CYCLE_LIMIT_MS) {
      bench.signal.throwIfAborted();
      const to = Math.min(at + SLICE, keysInDatabase);
      await ask(at, to);
      at = to;
      cycle.push({ keys: at, residentMiB: server.residentMiB() });
    }
    const notes = at < keysInDatabase ? [`Of ${keysInDatabase} distinct keys ${at} were met within the time.`] : [];
    const afterCycleHeapMiB = (await heapOf(server)) / MIB;
    return {
      ...{ bytesPerKey, heldKeys: held, baseResidentMiB, baseHeapMiB: base / MIB },
      ...{ cycle, afterCycleHeapMiB, notes },
    };
  } finally {
    await server.stop();
  }
}

/** Bytes in use after a garbage collection, buffers included, when uses have been written. */
async function heapOf({ process }: RunningServer): Promise<number> {
  await sleep(2_000);
  const answered = once(process, 'message');
  process.send('measure');
  const [{ heapUsed, external }] = (await answered) as [NodeJS.MemoryUsage];
  return heapUsed + external;
}

export function memoryTargets({ bytesPerKey, cycle, ...memory }: MemoryFigures): Target[] {
  const most = Math.max(...cycle.map(({ residentMiB }) => residentMiB));
  const grown = most - memory.baseResidentMiB;
  const heap = memory.afterCycleHeapMiB - memory.baseHeapMiB;
  const met = cycle.at(-1)?.keys ?? 0;
  return [
    {
      text: `Memory of a key that has been met: at most ${BYTES_PER_KEY} bytes`,
      value: `${bytesPerKey.toFixed(0)} bytes`,
      met: bytesPerKey <= BYTES_PER_KEY,
    },
    {
      text: `Heap that ${met} distinct keys leave behind: at most ${CACHE_MIB} MiB`,
      value: `${Math.round(heap)} MiB`,
      met: heap <= CACHE_MIB,
    },
    {
      text: `Resident memory that they add at any time: at most ${CACHE_MIB} MiB`,
      value: `${Math.round(grown)} MiB, on ${Math.round(memory.baseResidentMiB)} MiB`,
      met: grown <= CACHE_MIB,
    },
  ];
}
