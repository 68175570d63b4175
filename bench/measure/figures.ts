import type { Bench } from '../bench.ts';
import type { LoadResult } from '../load/load.ts';
import type { RunningServer } from '../servers.ts';
import { median } from '../statistics.ts';
import { type Disturbance, watchMachine } from './disturbance.ts';
import { cpuSecondsOf } from './process-tree.ts';

/** What one round says of one server. */
export interface Figures extends LoadResult {
  subject: string;
  round: number;
  requestsPerSecond: number;
  /** CPU time of the server a request, its children's included. */
  cpuMicros: number;
  /** CPU time of PostgreSQL a request. */
  databaseCpuMicros: number;
  /** Resident memory at the end of the round. */
  residentMiB: number;
  disturbance: Disturbance;
}

/** Runs a load and looks at the server, its database and the machine meanwhile. */
export async function measure(
  { postgres }: Bench,
  server: RunningServer,
  run: () => Promise<LoadResult>,
): Promise<Omit<Figures, 'subject' | 'round'>> {
  const cpuBefore = server.cpuSeconds();
  const databaseCpuBefore = cpuSecondsOf(postgres.processId);
  const machine = watchMachine();
  const result = await run();
  const disturbance = machine();
  const micros = (seconds: number) => (seconds * 1e6) / result.requests;
  return {
    ...result,
    requestsPerSecond: result.requests / result.seconds,
    cpuMicros: micros(server.cpuSeconds() - cpuBefore),
    databaseCpuMicros: micros(cpuSecondsOf(postgres.processId) - databaseCpuBefore),
    residentMiB: server.residentMiB(),
    disturbance,
  };
}

/** Fewer calm rounds than this say less than all of them. */
const FEWEST_CALM = 3;

/** The rounds whose median counts: the calm ones, or all where too few were calm. */
export function countedRounds<T extends { disturbance: Disturbance }>(rounds: readonly T[]): T[] {
  const calm = rounds.filter(({ disturbance }) => !disturbance.disturbed);
  return calm.length >= FEWEST_CALM ? calm : [...rounds];
}

/** The median over a subject's counted rounds. */
export function medianOf(rounds: readonly Figures[], subject: string, value: (figures: Figures) => number): number {
  return median(countedRounds(rounds.filter((figures) => figures.subject === subject)).map(value));
}
