import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';
import { keyOf } from '../keys.ts';
import { percentilesOf } from '../statistics.ts';
import { type Load, type LoadResult, type LoadTool, UnexpectedAnswers } from './load.ts';

/** Where wrk is missing. It runs in this process and needs as much CPU as a fast server, so fast servers look slower. */
export const AUTOCANNON: LoadTool = { name: 'autocannon 9.0.0', run };

/** autocannon's histogram does not have all the percentiles that wrk's has: the next higher one stands in. */
const FIELDS = {
  10: 'p10',
  25: 'p25',
  50: 'p50',
  75: 'p75',
  90: 'p90',
  95: 'p97_5',
  99: 'p99',
  99.9: 'p99_9',
} as const;

async function run(load: Load, signal: AbortSignal): Promise<LoadResult> {
  const running = autocannon({
    url: `http://127.0.0.1:${load.port}${load.path}`,
    connections: load.connections,
    duration: load.seconds,
    timeout: 2,
    requests: requestsOf(load),
  });
  const stop = () => (running as unknown as { stop(): void }).stop();
  signal.addEventListener('abort', stop, { once: true });
  const result = await running;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();

  const statuses = result.statusCodeStats ?? {};
  const allowed = [String(load.expectedStatus), ...(load.keys === 'unknown' ? ['503'] : [])];
  if (Object.keys(statuses).some((status) => !allowed.includes(status)) || result.errors > result.timeouts) {
    throw new UnexpectedAnswers(`Answers were ${JSON.stringify(result.statusCodeStats)}, errors ${result.errors}`);
  }
  return {
    requests: result.requests.total,
    seconds: result.duration,
    latencyMs: percentilesOf((percentile) => result.latency[FIELDS[percentile as keyof typeof FIELDS]]),
    maxMs: result.latency.max,
    timeouts: result.timeouts,
    refused: statuses['503']?.count ?? 0,
  };
}

function requestsOf(load: Load): autocannon.Request[] {
  if (load.keys === 'unknown') {
    const series = randomBytes(8).toString('hex');
    let index = 0;
    const withFreshKey = (request: autocannon.Request) => {
      index += 1;
      return { ...request, headers: bearer(keyOf(series, index)) };
    };
    return [{ setupRequest: withFreshKey }];
  }
  const keys = readFileSync(load.keys.file, 'utf8').trim().split('\n');
  return keys.map((key) => ({ headers: bearer(key) }));
}

function bearer(key: string) {
  return { authorization: `Bearer ${key}` };
}
