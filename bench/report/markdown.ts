import type { Disturbance } from '../measure/disturbance.ts';
import { countedRounds, type Figures, medianOf } from '../measure/figures.ts';
import type { PartResult } from '../results.ts';
import { NO_DIFFERENCE, ratioText } from '../statistics.ts';

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  // The first column is text, the others are figures.
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [line(head), `|${rule.join('|')}|`, ...rows.map(line)].join('\n');
}

/** A part's figures: one row for each subject, ratios to one of them. */
export function figuresTable(
  { rounds, subjects }: Pick<PartResult, 'rounds' | 'subjects'>,
  yardstick: string,
  yardstickName: string,
): string {
  const median = (id: string, value: (figures: Figures) => number) => medianOf(rounds, id, value);
  const speed = (id: string) => median(id, ({ requestsPerSecond }) => requestsPerSecond);
  return table(
    ['', 'requests/s', `× ${yardstickName}`, 'p50', 'p99', 'CPU a request', 'of PostgreSQL', 'memory', 'rounds'],
    subjects.map(({ id, name }) => [
      name,
      Math.round(speed(id)).toLocaleString('en'),
      id === yardstick ? '1' : comparison(speed(id) / speed(yardstick)),
      milliseconds(median(id, ({ latencyMs }) => latencyMs.p50)),
      milliseconds(median(id, ({ latencyMs }) => latencyMs.p99)),
      `${Math.round(median(id, ({ cpuMicros }) => cpuMicros))} µs`,
      `${Math.round(median(id, ({ databaseCpuMicros }) => databaseCpuMicros))} µs`,
      `${Math.round(median(id, ({ residentMiB }) => residentMiB))} MiB`,
      roundsText(rounds.filter(({ subject }) => subject === id)),
    ]),
  );
}

/** Says so where there is no difference to speak of. */
function comparison(ratio: number): string {
  const same = ratio < 1 + NO_DIFFERENCE && ratio > 1 / (1 + NO_DIFFERENCE);
  return same ? `no difference (${ratioText(ratio)})` : `**${ratioText(ratio)}**`;
}

/** `5`, or how many of them were disturbed and whether they count all the same. */
export function roundsText(rounds: readonly { disturbance: Disturbance }[]): string {
  const disturbed = rounds.filter(({ disturbance }) => disturbance.disturbed).length;
  if (disturbed === 0) return String(rounds.length);
  const counted = countedRounds(rounds).length;
  return counted === rounds.length
    ? `${rounds.length}, † ${disturbed} disturbed, counted`
    : `${counted} of ${rounds.length}, † ${disturbed} disturbed, left out`;
}

export function milliseconds(value: number): string {
  return `${value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`;
}

export function image(file: string, description: string): string {
  return `![${description}](benchmarks/${file})`;
}

export function paragraphs(...parts: (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('\n\n');
}
