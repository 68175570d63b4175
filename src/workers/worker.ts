import cluster from 'node:cluster';
import type { Registry } from 'prom-client';
import type { FromWorker, StartFailure, ToWorker } from './messages.ts';

/** What a worker owes its primary. */
export interface WorkerDuties {
  id: number;
  /** Calls back when the primary is gone, by kill -9 say: nobody else would ever end this process. */
  onAbandoned(stop: () => void): void;
  /** It serves on this port, and from now on answers for its metrics. */
  ready(port: number, metrics: Registry): void;
  /** Resolves when the primary has been told. */
  failed(failure: StartFailure): Promise<void>;
}

/** Null in a process that no primary has forked. */
export function workerDuties(): WorkerDuties | null {
  const { worker } = cluster;
  if (worker === undefined) return null;
  return {
    id: worker.id,
    onAbandoned(stop) {
      worker.once('disconnect', () => {
        // Or else Node would end the process here, in the middle of its requests.
        worker.exitedAfterDisconnect = true;
        stop();
      });
    },
    ready(port, metrics) {
      process.on('message', ({ type }: ToWorker) => {
        if (type !== 'report-metrics') return;
        // One that cannot be read is no reason to end: the primary does without.
        metrics.getMetricsAsJSON().then(
          (snapshot) => tell({ type: 'metrics', metrics: snapshot }),
          () => {},
        );
      });
      void tell({ type: 'ready', port });
    },
    failed: (failure) => tell({ type: 'start-failed', failure }),
  };
}

function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    // Where the primary is gone there is nobody to tell, and this process is stopping.
    if (!process.connected) resolve();
    else process.send?.(message, undefined, undefined, () => resolve());
  });
}
