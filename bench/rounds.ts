import type { Bench } from './bench.ts';
import type { Figures } from './measure/figures.ts';
import type { RunningServer } from './servers.ts';
import type { Subject } from './subjects.ts';

type MeasureOne = (server: RunningServer, subject: Subject) => Promise<Omit<Figures, 'subject' | 'round'>>;

/**
 * Measures every subject in every round, each time in a process started anew: a process keeps for life what chance gave
 * it (where its memory lies, what was compiled when). In every round another one is first, so that none has always the
 * same one before it.
 */
export async function inRounds(bench: Bench, subjects: readonly Subject[], measureOne: MeasureOne): Promise<Figures[]> {
  const { effort, servers, signal, tell } = bench;
  const figures: Figures[] = [];
  for (let round = 1; round <= effort.rounds; round += 1) {
    for (let turn = 0; turn < subjects.length; turn += 1) {
      const subject = subjects[(turn + round) % subjects.length];
      if (subject === undefined) continue;
      signal.throwIfAborted();
      const server = await servers.start(subject.command);
      try {
        const measured = await measureOne(server, subject);
        figures.push({ subject: subject.id, round, ...measured });
        tell(line(round, subject, measured));
      } catch (error) {
        throw new Error(`${subject.name}, round ${round}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      } finally {
        await server.stop();
      }
    }
  }
  return figures;
}

function line(round: number, { name }: Subject, figures: Omit<Figures, 'subject' | 'round'>): string {
  const { requestsPerSecond, latencyMs, cpuMicros, residentMiB, disturbance } = figures;
  const columns = [
    `${Math.round(requestsPerSecond)} req/s`.padStart(13),
    `p50 ${latencyMs.p50.toFixed(2)} ms`.padStart(14),
    `p99 ${latencyMs.p99.toFixed(2)} ms`.padStart(15),
    `${cpuMicros.toFixed(0)} µs CPU`.padStart(11),
    `${residentMiB.toFixed(0)} MiB`.padStart(8),
    disturbance.disturbed ? 'disturbed' : '',
  ];
  return `  ${round}  ${name.padEnd(50)}${columns.join('  ')}`;
}
