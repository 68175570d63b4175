import { asHolder, Connection } from '../load/connection.ts';
import { UnexpectedAnswers } from '../load/load.ts';
import type { RunningServer } from '../servers.ts';

/** Asks once before anything is measured: a server that is quick because it does not look is no peer. */
export async function expectAnswer(server: RunningServer, key: string, path: string, status: number): Promise<string> {
  const connection = await Connection.open(server.port);
  try {
    const answer = await connection.send(asHolder(key, path));
    if (answer.status !== status) {
      throw new UnexpectedAnswers(`${path} answered ${answer.status} instead of ${status}: ${answer.body}`);
    }
    return answer.body;
  } finally {
    connection.close();
  }
}
