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
    const count = bench.effort.quick ? DISTINCT_KEYS / 10 : DISTINCT_KEYS;
    const keys = keysOf(ISSUED, 0, count);
    const others = keysOf(ISSUED, count, count * 1.25);
    const rounds = await inRounds(bench, subjects, (server) => measureCold(bench, server, keys, others));
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

/** Asks each key once, after a warm-up with a quarter as many others: what is cold is memory and not the compiler. */
export async function measureCold(bench: Bench, server: RunningServer, keys: readonly string[], others: string[]) {
  const ask = (asked: readonly string[]) =>
    askEach({
      port: server.port,
      connections: CONNECTIONS,
      requests: asked.map((key) => asHolder(key)),
      expectedStatus: 200,
    });
  await ask(others.slice(0, Math.ceil(keys.length / 4)));
  return measure(bench, server, async () => resultOf(await ask(keys)));
}
