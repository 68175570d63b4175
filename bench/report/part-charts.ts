import { countedRounds, medianOf } from '../measure/figures.ts';
import { type AttackResult, coldOf, type GrowthResult, knownOf, type RevocationResult } from '../results.ts';
import { ascending, median } from '../statistics.ts';
import { axisName, draw, LEGEND, OURS, PEER } from './charts.ts';

/** Which share of revocations had taken hold everywhere after so many milliseconds. */
export function revocationChart({ revocation: { lagsMs, sentLagsMs, replicas } }: RevocationResult): string {
  const worst = Math.max(60, ...lagsMs);
  const curve = (lags: readonly number[]) => {
    const sorted = ascending(lags);
    const steps = sorted.map((lag, index): [number, number] => [lag, ((index + 1) / sorted.length) * 100]);
    return [[0, (lags.filter((lag) => lag <= 0).length / lags.length) * 100], ...steps, [worst, 100]];
  };
  const limit = (ms: number, name: string) => ({ xAxis: ms, label: { formatter: name } });
  return draw(
    `Revocations that hold on all ${replicas} replicas, after the revocation was answered`,
    { height: 380 },
    {
      legend: LEGEND,
      grid: { left: 70, right: 40, top: 92, bottom: 56 },
      xAxis: { type: 'value', min: 0, max: Math.ceil(worst / 10) * 10, ...axisName('milliseconds', 30) },
      yAxis: { type: 'value', min: 0, max: 100, ...axisName('% of revocations', 42) },
      series: [
        {
          ...{ type: 'line', name: 'the last acceptance arrived', step: 'end', symbol: 'none' },
          ...{ data: curve(lagsMs), lineStyle: { width: 3, color: OURS }, itemStyle: { color: OURS } },
          markLine: { symbol: 'none', data: [limit(25, 'p99 target'), limit(50, 'worst')] },
        },
        {
          ...{ type: 'line', name: 'the last accepted request was sent', step: 'end', symbol: 'none' },
          ...{ data: curve(sentLagsMs), lineStyle: { width: 2, color: PEER }, itemStyle: { color: PEER } },
        },
      ],
    },
  );
}

/** Requests a second against the number of keys in the database. */
export function growthChart({ rounds, sizes }: GrowthResult): string {
  const line = (name: string, subjectOf: (size: number) => string, color: string) => ({
    ...{ type: 'line' as const, name, symbolSize: 9, lineStyle: { width: 3, color }, itemStyle: { color } },
    label: { show: true, position: 'top' as const, formatter: '{@[1]}' },
    data: sizes.map((size) => [
      size.toLocaleString('en'),
      Math.round(medianOf(rounds, subjectOf(size), ({ requestsPerSecond }) => requestsPerSecond)),
    ]),
  });
  return draw(
    'GET /validate: requests a second, with more and more keys in the database',
    { height: 360 },
    {
      legend: LEGEND,
      grid: { left: 90, right: 40, top: 92, bottom: 56 },
      xAxis: { type: 'category', ...axisName('keys in the database', 30) },
      yAxis: { type: 'value', min: 0, ...axisName('requests a second', 60) },
      series: [line('known keys', knownOf, OURS), line('keys asked about for the first time', coldOf, PEER)],
    },
  );
}

/** Resident memory while one process meets more and more keys. */
export function memoryChart({ memory: { cycle, baseResidentMiB } }: GrowthResult): string {
  return draw(
    'Resident memory of one process, while it meets more and more distinct keys',
    { height: 340 },
    {
      grid: { left: 80, right: 90, top: 60, bottom: 56 },
      xAxis: { type: 'value', ...axisName('distinct keys met', 30) },
      yAxis: { type: 'value', min: 0, ...axisName('MiB', 50) },
      series: [
        {
          ...{ type: 'line', symbol: 'none', areaStyle: { opacity: 0.15 } },
          ...{ lineStyle: { width: 3, color: OURS }, itemStyle: { color: OURS } },
          data: [{ keys: 0, residentMiB: baseResidentMiB }, ...cycle].map(({ keys, residentMiB }) => [
            keys,
            residentMiB,
          ]),
          markLine: {
            symbol: 'none',
            data: [{ yAxis: Math.round(baseResidentMiB + 128), label: { formatter: 'bound' } }],
          },
        },
      ],
    },
  );
}

/** Latency of customers' requests in peace and under attack. */
export function attackChart({ attack, knownRate, garbageRate }: AttackResult): string {
  const percentiles = ['p50', 'p90', 'p99', 'p99.9'] as const;
  const bars = (name: string, garbage: boolean, color: string) => ({
    ...{ type: 'bar' as const, name, barWidth: 36, itemStyle: { color } },
    label: { show: true, position: 'top' as const },
    data: percentiles.map((p) =>
      Number(
        median(
          countedRounds(attack.filter((round) => round.garbage === garbage)).map(({ known }) => known[p]),
        ).toPrecision(3),
      ),
    ),
  });
  return draw(
    `Known keys at ${knownRate}/s: latency, with and without ${garbageRate}/s of unknown keys`,
    { height: 340 },
    {
      legend: LEGEND,
      grid: { left: 80, right: 30, top: 92, bottom: 40 },
      xAxis: { type: 'category', data: [...percentiles] },
      yAxis: { type: 'value', ...axisName('milliseconds', 50) },
      series: [bars('without', false, PEER), bars('under attack', true, OURS)],
    },
  );
}
