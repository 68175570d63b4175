import { type Answer, Connection } from './connection.ts';
import { UnexpectedAnswers } from './load.ts';

export interface AskedEach {
  answers: Answer[];
  seconds: number;
  latenciesMs: number[];
}

interface Options {
  port: number;
  connections: number;
  requests: readonly string[];
  /** Any other status fails the run. */
  expectedStatus: number;
}

/** Sends each request once, as fast as they are answered. */
export async function askEach({ port, connections, requests, expectedStatus }: Options): Promise<AskedEach> {
  const open = await Connection.openMany(port, connections);
  const answers: Answer[] = [];
  const latenciesMs: number[] = [];
  const remaining = requests.values();
  const began = performance.now();

  async function askOn(connection: Connection) {
    for (const request of remaining) {
      const sent = performance.now();
      const answer = await connection.send(request);
      latenciesMs.push(performance.now() - sent);
      if (answer.status !== expectedStatus) {
        throw new UnexpectedAnswers(`Answered ${answer.status} instead of ${expectedStatus}: ${answer.body}`);
      }
      answers.push(answer);
    }
  }

  try {
    await Promise.all(open.map(askOn));
    return { answers, latenciesMs, seconds: (performance.now() - began) / 1000 };
  } finally {
    for (const connection of open) connection.close();
  }
}
