import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import { Metrics } from '../../src/observability/metrics.ts';
import { type MetricsSnapshot, WorkerMetrics } from '../../src/workers/worker-metrics.ts';

/** A worker with metrics of its own, which answers as long as it is told to. */
class FakeWorker {
  readonly registry = new Registry();
  readonly requests = new Counter({ name: 'requests_total', help: 'x', registers: [this.registry] });
  readonly connections = new Gauge({ name: 'connections', help: 'x', registers: [this.registry] });
  readonly lag = new Gauge({
    name: 'nodejs_eventloop_lag_p99_seconds',
    help: 'x',
    registers: [this.registry],
    aggregator: 'average',
  });
  readonly duration = new Histogram({ name: 'duration', help: 'x', buckets: [1, 2], registers: [this.registry] });
  answers = true;
  readonly id: number;
  readonly #heard: (id: number, metrics: MetricsSnapshot) => void;

  constructor(id: number, heard: (id: number, metrics: MetricsSnapshot) => void) {
    this.id = id;
    this.#heard = heard;
  }

  async ask(): Promise<void> {
    // As it travels between processes.
    const metrics = JSON.parse(JSON.stringify(await this.registry.getMetricsAsJSON()));
    if (this.answers) this.#heard(this.id, metrics);
  }
}

const typesIn = (text: string) => text.split('\n').filter((line) => line.startsWith('# TYPE '));

describe('WorkerMetrics', () => {
  let all: WorkerMetrics;
  let first: FakeWorker;
  let second: FakeWorker;
  beforeEach(() => {
    all = new WorkerMetrics();
    [first, second] = [1, 2].map((id) => new FakeWorker(id, (from, metrics) => all.heard(from, metrics))) as [
      FakeWorker,
      FakeWorker,
    ];
    all.add(first);
    all.add(second);
    first.requests.inc(3);
    second.requests.inc(4);
  });
  const line = async (start: string) => {
    const lines = (await all.metrics()).split('\n');
    return lines.find((candidate) => candidate.startsWith(`${start} `))?.slice(start.length + 1);
  };

  it('sums what is counted, and what each of them holds', async () => {
    first.connections.set(2);
    second.connections.set(5);
    first.duration.observe(0.5);
    second.duration.observe(1.5);
    expect(await line('requests_total')).toBe('7');
    expect(await line('connections')).toBe('7');
    expect(await line('duration_bucket{le="2"}')).toBe('2');
    expect(await line('duration_count')).toBe('2');
    expect(await line('key_service_workers')).toBe('2');
  });

  it('shows the lag of the worst, which an average would hide', async () => {
    first.lag.set(0.01);
    second.lag.set(3);
    expect(await line('nodejs_eventloop_lag_p99_seconds')).toBe('3');
  });

  it('counts what one that does not answer had counted, and does not wait for it for long', async () => {
    await all.metrics();
    first.requests.inc();
    second.requests.inc();
    second.answers = false;
    const began = performance.now();
    expect(await line('requests_total')).toBe('8');
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('does not show what one that does not answer held when it last did, and says that it is silent', async () => {
    first.connections.set(2);
    second.connections.set(5);
    expect(await line('key_service_workers_silent')).toBe('0');
    expect(await line('connections')).toBe('7');
    second.answers = false;
    const text = await all.metrics();
    expect(text).toContain('\nconnections 2\n');
    expect(text).toContain('\nkey_service_workers_silent 1\n');
    expect(text).toContain('\nkey_service_workers 2\n');
    second.answers = true;
    expect(await line('connections')).toBe('7');
    expect(await line('key_service_workers_silent')).toBe('0');
  });

  it('takes no answer of one that has ended: what it counted is counted already', async () => {
    await all.metrics();
    all.remove(2);
    await second.ask();
    expect(await line('requests_total')).toBe('7');
  });

  it('answers a scrape that came while an earlier one gave up', async () => {
    second.answers = false;
    const earlier = all.metrics();
    await sleep(600);
    const later = all.metrics();
    expect(await earlier).toContain('\nkey_service_workers_silent 1\n');
    second.answers = true;
    await second.ask();
    expect(await later).toContain('\nkey_service_workers_silent 0\n');
  });

  it('never counts down when workers end, though what they held is gone with them', async () => {
    first.connections.set(2);
    second.connections.set(5);
    expect(await line('requests_total')).toBe('7');
    all.remove(1);
    all.remove(2);
    const third = new FakeWorker(3, (from, metrics) => all.heard(from, metrics));
    all.add(third);
    third.requests.inc(2);
    third.connections.set(1);
    expect(await line('requests_total')).toBe('9');
    expect(await line('connections')).toBe('1');
    expect(await line('key_service_workers')).toBe('1');
  });

  it('answers several scrapers at once, one that ends meanwhile included', async () => {
    second.answers = false;
    const scrapes = Promise.all([all.metrics(), all.metrics()]);
    all.remove(2);
    const began = performance.now();
    for (const text of await scrapes) expect(text).toContain('\nrequests_total 3\n');
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('has every metric of the service, in the format of one process', async () => {
    const { registry } = new Metrics();
    const one = typesIn(await registry.metrics());
    const together = new WorkerMetrics();
    const metrics = JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()));
    together.add({ id: 1, ask: () => together.heard(1, metrics) });
    const several = typesIn(await together.metrics());
    expect(one.length).toBeGreaterThan(10);
    expect(one.filter((type) => !several.includes(type))).toEqual([]);
    expect(together.contentType).toBe(registry.contentType);
  });
});
