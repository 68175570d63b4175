import { percentilesOfValues } from '../statistics.ts';
import { type Answer, Connection } from './connection.ts';
import { type LoadResult, UnexpectedAnswers } from './load.ts';

export interface AskedEach {
  /** In the order of the requests. */
  answers: Answer[];
  seconds: number;
  latenciesMs: number[];
}

interface Options {
  port: number;
  connections: number;
  requests: readonly string[];
  /** Any other status fails the run. */
  expectedStatus: number | readonly number[];
}

/** Sends each request once, as fast as they are answered. */
export async function askEach({ port, connections, requests, expectedStatus }: Options): Promise<AskedEach> {
  const expected = [expectedStatus].flat();
  const open = await Connection.openMany(port, connections);
  const answers: Answer[] = [];
  const latenciesMs: number[] = [];
  const remaining = requests.entries();
  const began = performance.now();

  async function askOn(connection: Connection) {
    for (const [index, request] of remaining) {
      const sent = performance.now();
      const answer = await connection.send(request);
      latenciesMs.push(performance.now() - sent);
      if (!expected.includes(answer.status)) {
        throw new UnexpectedAnswers(`Answered ${answer.status} instead of ${expected.join(' or ')}: ${answer.body}`);
      }
      answers[index] = answer;
    }
  }

  try {
    await Promise.all(open.map(askOn));
    return { answers, latenciesMs, seconds: (performance.now() - began) / 1000 };
  } finally {
    for (const connection of open) connection.close();
  }
}

/** The same as what a load tool finds. */
export function resultOf({ latenciesMs, seconds }: AskedEach): LoadResult {
  return {
    requests: latenciesMs.length,
    seconds,
    latencyMs: percentilesOfValues(latenciesMs),
    maxMs: Math.max(...latenciesMs),
    timeouts: 0,
    refused: 0,
  };
}
