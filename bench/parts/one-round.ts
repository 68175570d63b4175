import { type Bench, CONNECTIONS } from '../bench.ts';
import { ISSUED } from '../fill.ts';
import { keyOf } from '../keys.ts';
import type { Load } from '../load/load.ts';
import { measure } from '../measure/figures.ts';
import type { RunningServer } from '../servers.ts';
import { expectAnswer } from './probe.ts';

/** Known keys, asked about over and over: warm-up, then the measured time. */
export async function measureKnown(bench: Bench, server: RunningServer, path = '/validate') {
  const { effort, knownKeysFile, loadTool, signal } = bench;
  await expectAnswer(server, keyOf(ISSUED, 0), path, 200);
  const load: Omit<Load, 'seconds'> = {
    port: server.port,
    path,
    connections: CONNECTIONS,
    keys: { file: knownKeysFile },
    expectedStatus: 200,
  };
  await loadTool.run({ ...load, seconds: effort.warmUpSeconds }, signal);
  return measure(bench, server, () => loadTool.run({ ...load, seconds: effort.seconds }, signal));
}

/** Keys that were never issued, each asked about once. */
export async function measureUnknown(bench: Bench, server: RunningServer) {
  const { effort, loadTool, signal } = bench;
  await expectAnswer(server, keyOf('never issued', 0), '/validate', 401);
  const load: Omit<Load, 'seconds'> = {
    port: server.port,
    path: '/validate',
    connections: CONNECTIONS,
    keys: 'unknown',
    expectedStatus: 401,
  };
  await loadTool.run({ ...load, seconds: effort.warmUpSeconds }, signal);
  return measure(bench, server, () => loadTool.run({ ...load, seconds: effort.seconds }, signal));
}
