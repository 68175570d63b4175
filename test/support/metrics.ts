import type { TestService } from './service.ts';

export interface ReadMetrics {
  text: string;
  /** The value of the series with these labels, whatever others it has; undefined when there is none. */
  value(name: string, labels?: Record<string, string>): number | undefined;
}

/** Reads `/metrics` of a service that was started with METRICS_PORT. */
export async function metricsOf({ metricsPort }: Pick<TestService, 'metricsPort'>): Promise<ReadMetrics> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return {
    text,
    value(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      const line = text
        .split('\n')
        .find(
          (candidate) => /^\w+/.exec(candidate)?.[0] === name && wanted.every((label) => candidate.includes(label)),
        );
      return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
    },
  };
}
