import { Connection } from './connection.ts';

/** A stream of requests that come at a rate of their own, whether earlier ones have been answered or not. */
export interface Stream {
  port: number;
  /** Requests a second. */
  rate: number;
  /** The most that wait for an answer at a time; more wait here, and their waiting counts. */
  connections: number;
  next(): string;
}

export interface StreamResult {
  /** From when a request should have been sent to when its answer was there. */
  latenciesMs: number[];
  statuses: Record<number, number>;
}

interface Offer {
  /** At most. */
  seconds: number;
  /** Gives up. */
  signal: AbortSignal;
  /** Ends it earlier, with what there is. */
  stop?: AbortSignal;
}

const TICK_MS = 1;
/** For what is still waiting when the time is over; the rest is counted as not answered. */
const OVERTIME_MS = 10_000;
/** Stands among the statuses for "not answered". */
export const UNANSWERED = 0;

/**
 * An open loop: a server that stalls does not make its clients ask less, and a request that had to wait for its turn
 * was late from the moment it should have been sent (no coordinated omission).
 */
export async function offer(streams: readonly Stream[], { seconds, signal, stop }: Offer): Promise<StreamResult[]> {
  const offered = await Promise.all(streams.map(openStream));
  try {
    const began = performance.now();
    let failure: unknown;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const elapsed = performance.now() - began;
        const ending = elapsed >= seconds * 1000 || stop?.aborted === true;
        for (const stream of offered) {
          if (stop?.aborted !== true) stream.sendUntil(began, Math.min(elapsed, seconds * 1000));
          failure ??= stream.failure();
        }
        const late = elapsed >= seconds * 1000 + OVERTIME_MS;
        const over = late || (ending && offered.every((stream) => stream.idle()));
        if (!over && !signal.aborted && failure === undefined) return;
        clearInterval(timer);
        resolve();
      }, TICK_MS);
    });
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
    return offered.map((stream) => stream.result());
  } finally {
    for (const stream of offered) stream.close();
  }
}

async function openStream({ port, rate, connections, next }: Stream) {
  const all = await Connection.openMany(port, connections);
  const free = [...all];
  const waiting: number[] = [];
  const result: StreamResult = { latenciesMs: [], statuses: {} };
  let sent = 0;
  let failed: unknown;

  function send(connection: Connection, due: number): void {
    connection.send(next()).then(
      ({ status }) => {
        result.latenciesMs.push(performance.now() - due);
        result.statuses[status] = (result.statuses[status] ?? 0) + 1;
        const following = waiting.shift();
        if (following === undefined) free.push(connection);
        else send(connection, following);
      },
      (error: unknown) => {
        failed ??= error;
      },
    );
  }

  return {
    result() {
      const unanswered = waiting.length + all.length - free.length;
      if (unanswered > 0) result.statuses[UNANSWERED] = unanswered;
      return result;
    },
    failure: () => failed,
    idle: () => free.length === all.length,
    /** Sends all that are due by now. */
    sendUntil(began: number, elapsedMs: number) {
      for (; sent < (elapsedMs / 1000) * rate; sent += 1) {
        const due = began + (sent / rate) * 1000;
        // Each in its turn: a server closes a connection on which nothing has been asked for a while.
        const connection = free.shift();
        if (connection === undefined) waiting.push(due);
        else send(connection, due);
      }
    },
    close() {
      for (const connection of all) connection.close();
    },
  };
}
