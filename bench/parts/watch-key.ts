import { setTimeout as sleep } from 'node:timers/promises';
import { asHolder, Connection } from '../load/connection.ts';
import { UnexpectedAnswers } from '../load/load.ts';

export interface Watched {
  /** When the work was done. */
  doneAt: number;
  /** When the last 200 arrived from anywhere, and when its request had been sent. */
  lastAcceptedAt: number;
  lastAcceptedSentAt: number;
}

/** How long every server has to refuse without a break before the key counts as gone. */
const SETTLED_MS = 60;
const GIVE_UP_MS = 10_000;
/** How finely the moment is seen. Without a pause the asking itself would take the machine. */
const PAUSE_MS = 1;

/**
 * Asks every server about a key again and again, without a break, while the work makes the key bad, and until
 * all have refused it for a while. A server that accepts it once more is noticed.
 */
export async function watchKey(ports: readonly number[], key: string, work: () => Promise<void>): Promise<Watched> {
  const request = asHolder(key);
  const connections = await Promise.all(ports.map((port) => Connection.open(port)));
  let lastAcceptedAt = 0;
  let lastAcceptedSentAt = 0;
  let watching = true;
  const refusing = new Set<Connection>();

  async function ask(connection: Connection): Promise<void> {
    const sentAt = performance.now();
    const { status, body } = await connection.send(request);
    if (status === 200) {
      lastAcceptedAt = performance.now();
      lastAcceptedSentAt = Math.max(lastAcceptedSentAt, sentAt);
      refusing.delete(connection);
    } else if (status === 401) refusing.add(connection);
    // Neither accepted nor refused: a server that is overloaded says so.
    else if (status !== 503) throw new UnexpectedAnswers(`A key was answered ${status} while it was revoked: ${body}`);
  }

  async function untilRefused(): Promise<number> {
    await work();
    const doneAt = performance.now();
    const settled = () =>
      refusing.size === connections.length && performance.now() - Math.max(doneAt, lastAcceptedAt) > SETTLED_MS;
    while (!settled()) {
      if (performance.now() - doneAt > GIVE_UP_MS) throw new UnexpectedAnswers('A revoked key is accepted for seconds');
      await sleep(5);
    }
    return doneAt;
  }

  try {
    // Every server knows the key, and accepts it.
    await Promise.all(connections.map(ask));
    if (refusing.size > 0 || lastAcceptedAt === 0) throw new UnexpectedAnswers('A key was refused before its time');
    const asking = connections.map(async (connection) => {
      while (watching) {
        await ask(connection);
        await sleep(PAUSE_MS);
      }
    });
    const watched = untilRefused().finally(() => {
      watching = false;
    });
    const [doneAt] = await Promise.all([watched, ...asking]);
    return { doneAt, lastAcceptedAt, lastAcceptedSentAt };
  } finally {
    watching = false;
    for (const connection of connections) connection.close();
  }
}
