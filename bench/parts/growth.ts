import type { Bench } from '../bench.ts';
import { createServiceDatabase } from '../database.ts';
import { fillServiceDatabase, ISSUED } from '../fill.ts';
import { keyOf } from '../keys.ts';
import { type Figures, medianOf } from '../measure/figures.ts';
import { coldOf, type GrowthResult, knownOf, type Target } from '../results.ts';
import { inRounds } from '../rounds.ts';
import { keyService } from '../subjects.ts';
import { measureCold } from './cold.ts';
import { measureMemory, memoryTargets } from './memory.ts';
import { measureKnown } from './one-round.ts';

const SIZES = [10_000, 100_000, 1_000_000];
const QUICK_SIZES = [2_000, 10_000];
/** Asked about for the first time, spread over the whole table. */
const FIRST_ASKED = 5_000;
const MOST_DIFFERENCE = 0.15;

/** What becomes of speed and memory as keys become many. */
export const growth = {
  name: 'growth',
  summary: 'the same figures with 10 thousand, 100 thousand and 1 million keys; memory per key',
  async run(bench: Bench): Promise<GrowthResult> {
    const sizes = bench.effort.quick ? QUICK_SIZES : SIZES;
    const databases: Record<number, string> = {};
    for (const size of sizes) {
      bench.tell(`  making a database with ${size} keys`);
      databases[size] = await createServiceDatabase(bench.postgres, `grown_${size}`);
      await fillServiceDatabase(databases[size], size);
    }
    const colds: Figures[] = [];
    const subjects = await Promise.all(
      sizes.map((size) =>
        keyService(bench, {
          id: knownOf(size),
          name: `Known keys, ${size.toLocaleString('en')} in the database`,
          databaseUrl: databases[size] ?? '',
        }),
      ),
    );
    const rounds = await inRounds(bench, subjects, async (server, { id }) => {
      const size = sizes.find((one) => knownOf(one) === id) ?? 0;
      const { keys, others } = spread(size);
      const figures = await measureCold(bench, server, keys, others);
      colds.push({ ...figures, subject: coldOf(size), round: colds.length + 1 });
      return measureKnown(bench, server);
    });
    const all = [...rounds, ...colds];
    const largest = sizes.at(-1) ?? 0;
    const memory = await measureMemory(bench, databases[largest] ?? '', largest);
    return {
      sizes,
      memory,
      rounds: all,
      notes: memory.notes,
      subjects: [
        ...subjects.map(({ id, name }) => ({ id, name })),
        ...sizes.map((size) => ({
          id: coldOf(size),
          name: `Keys not met before, ${size.toLocaleString('en')} in the database`,
        })),
      ],
      targets: [...speedTargets(all, sizes), ...memoryTargets(memory)],
    };
  },
};

/** Keys from all over the table, and others, from its start: even and odd ones. */
function spread(size: number): { keys: string[]; others: string[] } {
  const count = Math.min(FIRST_ASKED, size / 2);
  const keys = Array.from({ length: count }, (_, index) => keyOf(ISSUED, 2 * Math.floor((index * size) / count / 2)));
  const others = Array.from({ length: count / 4 }, (_, index) => keyOf(ISSUED, 2 * index + 1));
  return { keys, others };
}

function speedTargets(rounds: readonly Figures[], sizes: readonly number[]): Target[] {
  return [knownOf, coldOf].map((subjectOf) => {
    const speeds = sizes.map((size) => medianOf(rounds, subjectOf(size), ({ requestsPerSecond }) => requestsPerSecond));
    const slowest = Math.min(...speeds) / (speeds[0] ?? Number.NaN);
    const what = subjectOf === knownOf ? 'Known keys' : 'Keys not met before';
    return {
      text: `${what}, with the most keys against the fewest: at least ${1 - MOST_DIFFERENCE}×`,
      value: `${slowest.toFixed(2)}×`,
      met: slowest >= 1 - MOST_DIFFERENCE,
    };
  });
}
