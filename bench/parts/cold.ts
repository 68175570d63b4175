import { type Bench, CONNECTIONS } from '../bench.ts';
import { ISSUED } from '../fill.ts';
import { keysOf } from '../keys.ts';
import { askEach, resultOf } from '../load/ask-each.ts';
import { asHolder } from '../load/connection.ts';
import { measure, medianOf } from '../measure/figures.ts';
import type { PartResult } from '../results.ts';
import { inRounds } from '../rounds.ts';
import type { RunningServer } from '../servers.ts';
import { ratioText } from '../statistics.ts';
import { expressLookUp, keyService, SERVICE } from '../subjects.ts';

const DISTINCT_KEYS = 10_000;
const LEAST = 0.9;

/** Keys that a replica meets for the first time: nothing is in its memory, every answer needs the database. */
export const cold = {
  name: 'cold',
  summary: `${DISTINCT_KEYS} distinct keys asked once each, just after the start`,
  async run(bench: Bench): Promise<PartResult> {
    const databaseUrl = await bench.serviceDatabase();
    const row = expressLookUp(databaseUrl, 'row');
    const answer = expressLookUp(databaseUrl, 'answer');
    const subjects = [row, answer, await keyService(bench, { name: 'Key Service, keys it has not met' })];
    const rounds = await inRounds(bench, subjects, (server) => measureCold(bench, server, DISTINCT_KEYS));
    const speed = (subject: string) => medianOf(rounds, subject, ({ requestsPerSecond }) => requestsPerSecond);
    const ratio = speed(SERVICE) / speed(row.id);
    return {
      notes: [],
      rounds,
      subjects: subjects.map(({ id, name }) => ({ id, name })),
      targets: [
        {
          text: `Keys asked for the first time, against Express and one prepared look-up: at least ${LEAST}×`,
          value: `${ratioText(ratio)}; ${ratioText(speed(SERVICE) / speed(answer.id))} of one that looks up the whole answer`,
          met: ratio >= LEAST,
        },
      ],
    };
  },
};

/**
 * Asks each key of a range once. Warmed up with other keys, outside the range: what is cold is memory and not the
 * compiler.
 */
export async function measureCold(bench: Bench, server: RunningServer, count: number) {
  const ask = (from: number, to: number) =>
    askEach({
      port: server.port,
      connections: CONNECTIONS,
      requests: keysOf(ISSUED, from, to).map((key) => asHolder(key)),
      expectedStatus: 200,
    });
  const total = bench.effort.quick ? count / 10 : count;
  await ask(count, count + total / 4);
  return measure(bench, server, async () => resultOf(await ask(0, total)));
}
