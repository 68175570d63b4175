import { AggregatorRegistry, collectDefaultMetrics, Gauge, type MetricObject, Registry } from 'prom-client';
import type { MetricsSource } from '../observability/metrics-server.ts';
import { settledWithin } from '../time-limit.ts';

/** The values of one process at one time. */
export type MetricsSnapshot = MetricObject[];

/** A worker that is asked for its metrics answers by `heard`, or does not. */
export interface MetricsSubject {
  id: number;
  ask(question: { type: 'report-metrics' }): void;
}

/** Scrapers wait for seconds; a worker that needs as long is busy with something else. */
const ANSWER_LIMIT_MS = 1_000;

/** Where the sum that the library would make of several processes says nothing. */
function aggregatorOf({ name, aggregator }: MetricObject): string {
  if (name === 'process_start_time_seconds') return 'min';
  // An average would hide the one worker that is stuck.
  if (name.startsWith('nodejs_eventloop_lag_') && aggregator === 'average') return 'max';
  return aggregator;
}

/**
 * The metrics of all workers as one. What a scraper has seen counted stays counted: of a worker that is gone, the
 * counters as they were last read are kept, and so they are of one that does not answer. A sum that went down would be read
 * as a restart of everything, and as so many requests more. What such a worker held when it last answered is not shown: it
 * would look as well as it did then.
 */
export class WorkerMetrics implements MetricsSource {
  readonly #own = new Registry();
  readonly #workers = new Map<number, MetricsSubject>();
  readonly #snapshots = new Map<number, MetricsSnapshot>();
  readonly #waiting = new Map<number, () => void>();
  readonly #silent: Gauge;
  readonly contentType = this.#own.contentType;
  #departed: MetricsSnapshot = [];

  constructor() {
    const serving = this.#workers;
    collectDefaultMetrics({ register: this.#own });
    new Gauge({
      name: 'key_service_workers',
      help: 'Worker processes that serve',
      registers: [this.#own],
      collect() {
        this.set(serving.size);
      },
    });
    this.#silent = new Gauge({
      name: 'key_service_workers_silent',
      help: 'Worker processes that did not answer when this was asked for',
      registers: [this.#own],
    });
  }

  add(worker: MetricsSubject): void {
    this.#workers.set(worker.id, worker);
  }

  heard(id: number, metrics: MetricsSnapshot): void {
    // Its counters are among those of the departed: they would count twice from now on.
    if (!this.#workers.has(id)) return;
    this.#snapshots.set(id, metrics);
    this.#waiting.get(id)?.();
  }

  remove(id: number): void {
    const counted = countedIn(this.#snapshots.get(id) ?? []);
    this.#workers.delete(id);
    this.#snapshots.delete(id);
    this.#waiting.get(id)?.();
    this.#departed = aggregate([this.#departed, counted]).getMetricsAsArray();
  }

  async metrics(): Promise<string> {
    const silent = new Set<number>();
    await Promise.all(
      [...this.#workers.values()].map(async (worker) => {
        if (!(await this.#refresh(worker))) silent.add(worker.id);
      }),
    );
    this.#silent.set(silent.size);
    // The primary serves nothing itself: its memory and CPU belong to the service, its idle event loop does not.
    const own = (await this.#own.getMetricsAsJSON()).filter(({ name }) => !name.startsWith('nodejs_'));
    const workers = [...this.#snapshots].map(([id, metrics]) => (silent.has(id) ? countedIn(metrics) : metrics));
    return aggregate([...workers, this.#departed, own]).metrics();
  }

  /** Whether there is nothing more to wait for: it answered, or is gone. */
  async #refresh(worker: MetricsSubject): Promise<boolean> {
    const { id } = worker;
    const others = this.#waiting.get(id);
    let settled = false;
    let settle = () => {};
    const answered = new Promise<void>((resolve) => {
      settle = () => {
        others?.();
        settled = true;
        resolve();
      };
    });
    this.#waiting.set(id, settle);
    worker.ask({ type: 'report-metrics' });
    await settledWithin(ANSWER_LIMIT_MS, answered);
    // A scrape that came later waits still, and tells this one's waiter too.
    if (this.#waiting.get(id) === settle) this.#waiting.delete(id);
    return settled;
  }
}

/** What never goes down in the life of a process, as it travels between processes: the type is its name. */
function countedIn(metrics: MetricsSnapshot): MetricsSnapshot {
  return metrics.filter(({ type }) => (type as unknown) !== 'gauge');
}

function aggregate(snapshots: readonly MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate(
    snapshots.map((metrics) => metrics.map((metric) => ({ ...metric, aggregator: aggregatorOf(metric) }))),
  );
}
