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
 * counters as they were last read are kept, and one that does not answer counts as it last did. A sum that went down would
 * be read as a restart of everything, and as so many requests more.
 */
export class WorkerMetrics implements MetricsSource {
  readonly #own = new Registry();
  readonly #workers = new Map<number, MetricsSubject>();
  readonly #snapshots = new Map<number, MetricsSnapshot>();
  readonly #waiting = new Map<number, () => void>();
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
  }

  add(worker: MetricsSubject): void {
    this.#workers.set(worker.id, worker);
  }

  heard(id: number, metrics: MetricsSnapshot): void {
    this.#snapshots.set(id, metrics);
    this.#waiting.get(id)?.();
  }

  remove(id: number): void {
    const counted = (this.#snapshots.get(id) ?? []).filter(({ type }) => (type as unknown) !== 'gauge');
    this.#workers.delete(id);
    this.#snapshots.delete(id);
    this.#waiting.get(id)?.();
    this.#departed = aggregate([this.#departed, counted]).getMetricsAsArray();
  }

  async metrics(): Promise<string> {
    await Promise.all([...this.#workers.values()].map((worker) => this.#refresh(worker)));
    // The primary serves nothing itself: its memory and CPU belong to the service, its idle event loop does not.
    const own = (await this.#own.getMetricsAsJSON()).filter(({ name }) => !name.startsWith('nodejs_'));
    return aggregate([...this.#snapshots.values(), this.#departed, own]).metrics();
  }

  async #refresh(worker: MetricsSubject): Promise<void> {
    const { id } = worker;
    const answered = new Promise<void>((resolve) => {
      const others = this.#waiting.get(id);
      this.#waiting.set(id, () => {
        others?.();
        resolve();
      });
    });
    worker.ask({ type: 'report-metrics' });
    await settledWithin(ANSWER_LIMIT_MS, answered);
    this.#waiting.delete(id);
  }
}

function aggregate(snapshots: readonly MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate(
    snapshots.map((metrics) => metrics.map((metric) => ({ ...metric, aggregator: aggregatorOf(metric) }))),
  );
}
