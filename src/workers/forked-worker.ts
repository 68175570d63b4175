import cluster, { type Worker } from 'node:cluster';
import { settledWithin } from '../time-limit.ts';
import { watchHandedOver } from './handed-over.ts';
import type { FromWorker, StartFailure, ToWorker } from './messages.ts';

/** What an ended process has said lies there to be read; more than a moment it does not take. */
const HEARING_LIMIT_MS = 100;

/** How a process ended: with a code, or by a signal. */
export interface Ending {
  code: number | null;
  signal: string | null;
}

/** A worker could not start. Safe to print. */
export class WorkerStartFailed extends Error {
  override readonly name = 'WorkerStartFailed';
  readonly failure: StartFailure;

  constructor(failure: StartFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** A worker as the primary sees it. */
export interface ForkedWorker {
  /** Counts up: a replacement has a number of its own. */
  id: number;
  pid: number | undefined;
  /** Resolves with the port once it serves. @throws WorkerStartFailed when it ends before */
  ready: Promise<number>;
  /** How long ago it began to serve. */
  servedMs(): number;
  /** Resolves after all that it said has been heard. Never rejects. */
  ended: Promise<Ending>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** Lost without a trace when the worker is gone. */
  ask(question: ToWorker): void;
}

export function forkWorker(onMessage: (message: FromWorker) => void): ForkedWorker {
  // Connections are kept open and carry many requests, so that what counts is that they are spread evenly. Left to the
  // system (SCHED_NONE) one of four workers may have none of 32 and another 21, for as long as they last. Taking turns
  // costs the primary some 80 µs for each connection and nothing for a request: docs/decisions/0014-workers.md.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const worker = cluster.fork();
  const ended = endOf(worker);
  let servesSince: number | undefined;
  const ready = new Promise<number>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'ready') {
        servesSince = performance.now();
        resolve(message.port);
      }
      if (message.type === 'start-failed') reject(new WorkerStartFailed(message.failure));
      onMessage(message);
    });
    void ended.then((ending) =>
      reject(new WorkerStartFailed({ fields: ending, message: 'a worker ended before it was ready' })),
    );
  });
  ready.catch(() => {}); // after a stop nobody asks any more

  return {
    id: worker.id,
    pid: worker.process.pid,
    ready,
    servedMs: () => (servesSince === undefined ? 0 : performance.now() - servesSince),
    ended,
    kill: (signal) => worker.process.kill(signal),
    ask(question) {
      if (worker.isConnected()) worker.send(question, () => {});
    },
  };
}

async function endOf(worker: Worker): Promise<Ending> {
  const child = worker.process;
  worker.on('error', () => {}); // it got no process, or what was sent came too late: its end is known in other ways
  if (child.pid === undefined) return { code: null, signal: null };
  const handedOver = watchHandedOver(child);
  const exit = new Promise<Ending>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  let heard = false;
  const allHeard = new Promise<void>((resolve) => child.once('disconnect', resolve)).then(() => {
    heard = true;
  });
  const ending = await exit;
  // What it said last may be read after its exit is known; the channel closes when all of it has been read.
  await settledWithin(HEARING_LIMIT_MS, allHeard);
  // With a connection on its way Node waits for good for the worker to confirm it. This frees the worker's place in turn.
  if (!heard) child.emit('disconnect');
  handedOver.close();
  return ending;
}
