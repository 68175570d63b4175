import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from '../observability/describe-error.ts';
import type { Logger } from '../observability/logger.ts';
import { settledWithin } from '../time-limit.ts';
import { type ForkedWorker, forkWorker } from './forked-worker.ts';
import { restartPauseMs, SOUND_AFTER_MS } from './restart-pause.ts';
import { WorkerMetrics } from './worker-metrics.ts';

/** A worker's own stop is over by then; the primary's ends at 10 s, whatever is left. */
const STOP_LIMIT_MS = 9_700;
const KILL_LIMIT_MS = 200;

/**
 * The primary's work: so many workers that serve on one port, and a replacement for each that ends. It answers no
 * request itself.
 */
export class Workers {
  readonly #count: number;
  readonly #logger: Logger;
  readonly #living = new Set<ForkedWorker>();
  readonly #stop = new AbortController();
  #started = false;
  readonly metrics = new WorkerMetrics();

  constructor(count: number, logger: Logger) {
    this.#count = count;
    this.#logger = logger;
  }

  /**
   * Resolves with the port when all of them serve.
   *
   * @throws WorkerStartFailed as soon as one cannot: the others would fare no better
   */
  async start(): Promise<number> {
    const workers = Array.from({ length: this.#count }, () => this.#fork());
    const [port = 0] = await Promise.all(workers.map(({ ready }) => ready));
    this.#started = true;
    for (const worker of workers) void this.#keepPlace(worker);
    return port;
  }

  /** All of them at once, each as gracefully as a process alone. Resolves when none is left. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const workers = [...this.#living];
    const ended = Promise.all(workers.map((worker) => worker.ended));
    // One that the terminal's Ctrl-C has reached already does not mind a second signal.
    for (const worker of workers) worker.kill('SIGTERM');
    await settledWithin(STOP_LIMIT_MS, ended);
    for (const worker of this.#living) {
      this.#logger.error({ worker: worker.id }, 'a worker did not stop in time and is killed');
      worker.kill('SIGKILL');
    }
    await settledWithin(KILL_LIMIT_MS, ended);
  }

  /** Sees to it that where this one worker was there is always one. */
  async #keepPlace(first: ForkedWorker): Promise<void> {
    let shortLives = 0;
    for (let worker: ForkedWorker | null = first; ; worker = this.#replacement()) {
      const ending = await worker?.ended;
      if (this.#stop.signal.aborted) return;

      const servedMs = worker?.servedMs() ?? 0;
      shortLives = servedMs < SOUND_AFTER_MS ? shortLives + 1 : 0;
      const pauseMs = restartPauseMs(shortLives);
      const facts = { worker: worker?.id, ...ending, servedMs: Math.round(servedMs), pauseMs };
      this.#logger.error(facts, 'a worker ended and is replaced');
      await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {});
      if (this.#stop.signal.aborted) return;
    }
  }

  /** Null where the system has no memory for it now. */
  #replacement(): ForkedWorker | null {
    try {
      return this.#fork();
    } catch (error) {
      this.#logger.error({ error: describeError(error) }, 'a worker could not be forked');
      return null;
    }
  }

  #fork(): ForkedWorker {
    const worker = forkWorker((message) => {
      if (message.type === 'metrics') this.metrics.heard(worker.id, message.metrics);
      // That of the first ones is the primary's own failure.
      if (message.type === 'start-failed' && this.#started) {
        const { fields, message: why } = message.failure;
        this.#logger.error({ worker: worker.id, ...fields }, why);
      }
    });
    const { id, pid } = worker;
    this.#living.add(worker);
    worker.ready.then(
      () => {
        this.metrics.add(worker);
        this.#logger.info({ worker: id, pid }, 'a worker is ready');
      },
      () => {},
    );
    void worker.ended.then(() => {
      this.#living.delete(worker);
      this.metrics.remove(id);
    });
    return worker;
  }
}
