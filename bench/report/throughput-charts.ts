import { medianOf } from '../measure/figures.ts';
import type { PartResult } from '../results.ts';
import { PERCENTILES } from '../statistics.ts';
import { EXPRESS, EXPRESS_BORN, NODE_HTTP, SERVICE } from '../subjects.ts';
import { axisName, draw, LEGEND, OURS, PALETTE, PEER, YARDSTICK } from './charts.ts';

/** Who answers how many requests, as multiples of bare Express; the fastest on top. */
export function throughputChart({ rounds, subjects }: PartResult): string {
  const speed = (id: string) => medianOf(rounds, id, ({ requestsPerSecond }) => requestsPerSecond);
  const bars = subjects
    .map(({ id, name }) => ({ id, name, perSecond: speed(id), ratio: speed(id) / speed(EXPRESS) }))
    .sort((a, b) => a.ratio - b.ratio);
  return draw(
    'GET /validate: requests a second, as multiples of Express 4 answering a constant',
    { height: 110 + bars.length * 34 },
    {
      grid: { left: 350, right: 130, top: 56, bottom: 50 },
      xAxis: { type: 'value', ...axisName('× Express 4', 30) },
      yAxis: { type: 'category', data: bars.map(({ name }) => name), axisTick: { show: false } },
      series: [
        {
          type: 'bar',
          barWidth: 20,
          label: { show: true, position: 'right', formatter: ({ dataIndex }) => labelOf(bars[dataIndex]) },
          data: bars.map(({ id, ratio }) => ({ value: ratio, itemStyle: { color: colourOf(id) } })),
        },
      ],
    },
  );
}

function labelOf(bar: { perSecond: number; ratio: number } | undefined): string {
  return bar === undefined ? '' : `${bar.ratio.toFixed(2)}×   ${Math.round(bar.perSecond).toLocaleString('en')}/s`;
}

function colourOf(id: string): string {
  if (id.startsWith(SERVICE)) return OURS;
  return [EXPRESS, EXPRESS_BORN, NODE_HTTP].includes(id) ? YARDSTICK : PEER;
}

const COMPARED = [SERVICE, EXPRESS, NODE_HTTP, 'naive', 'better-auth-unlimited'];

/** How long requests take: what the median hides, up to one in a thousand. */
export function latencyChart({ rounds, subjects }: PartResult): string {
  const lines = COMPARED.flatMap((id) => subjects.filter((subject) => subject.id === id));
  return draw(
    'GET /validate: latency at 32 connections',
    { height: 440 },
    {
      color: PALETTE,
      legend: LEGEND,
      grid: { left: 80, right: 30, top: 100, bottom: 56 },
      xAxis: {
        type: 'category',
        boundaryGap: false,
        data: PERCENTILES.map((p) => `p${p}`),
        ...axisName('percentile of requests', 32),
      },
      yAxis: { type: 'log', ...axisName('milliseconds', 50) },
      series: lines.map(({ id, name }) => ({
        type: 'line' as const,
        name,
        symbolSize: 6,
        lineStyle: { width: id === SERVICE ? 4 : 2 },
        data: PERCENTILES.map((p) =>
          Number(medianOf(rounds, id, ({ latencyMs }) => latencyMs[`p${p}`]).toPrecision(3)),
        ),
      })),
    },
  );
}
