import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Of every connection the answers that it still owes, oldest first, and what is to be done when one is owed no more. */
const owedBy = new WeakMap<Duplex, Map<ServerResponse, () => void>>();

/** Calls `done` once: when the answer has been sent, or when its connection has gone. */
export function whenDone(response: ServerResponse, connection: Duplex, done: () => void): void {
  const owed = owedBy.get(connection) ?? track(connection);
  owed.set(response, done);
  response.on('close', () => {
    if (owed.delete(response)) done();
  });
}

/** The answer to the last request that came on a connection, unless that is done. */
export function lastOwed(connection: Duplex): ServerResponse | undefined {
  return [...(owedBy.get(connection)?.keys() ?? [])].at(-1);
}

function track(connection: Duplex): Map<ServerResponse, () => void> {
  const owed = new Map<ServerResponse, () => void>();
  owedBy.set(connection, owed);
  // A pipelined answer that still waits for its turn when the connection goes emits no close of its own.
  connection.once('close', () => {
    const left = [...owed.values()];
    owed.clear();
    for (const done of left) done();
  });
  return owed;
}
