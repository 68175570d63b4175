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
        const over = ending && offered.every((stream) => stream.idle());
        if (!over && !signal.aborted && failure === undefined) return;
        clearInterval(timer);
        resolve();
      }, TICK_MS);
    });
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
    return offered.map(({ result }) => result);
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
        failed = error;
      },
    );
  }

  return {
    result,
    failure: () => failed,
    idle: () => free.length === all.length,
    /** Sends all that are due by now. */
    sendUntil(began: number, elapsedMs: number) {
      for (; sent < (elapsedMs / 1000) * rate; sent += 1) {
        const due = began + (sent / rate) * 1000;
        const connection = free.pop();
        if (connection === undefined) waiting.push(due);
        else send(connection, due);
      }
    },
    close() {
      for (const connection of all) connection.close();
    },
  };
}
