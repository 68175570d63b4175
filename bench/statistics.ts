/** The value below which this share of the sorted values lies, by the nearest-rank method. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

export function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** The percentiles that are kept of every round: enough to draw the distribution. */
export const PERCENTILES = [10, 25, 50, 75, 90, 95, 99, 99.9] as const;
export type Percentiles = Record<`p${(typeof PERCENTILES)[number]}`, number>;

export function percentilesOf(valueAt: (percentile: number) => number): Percentiles {
  return Object.fromEntries(PERCENTILES.map((p) => [`p${p}`, valueAt(p)])) as Percentiles;
}

export function percentilesOfValues(values: readonly number[]): Percentiles {
  const sorted = ascending(values);
  return percentilesOf((p) => quantile(sorted, p / 100));
}

/** Two figures closer than this are called the same: what one run of a shared machine can tell apart. */
export const NO_DIFFERENCE = 0.15;

/** `1.00` says nothing about the second digit when rounds differ by more. */
export function ratioText(ratio: number): string {
  if (!Number.isFinite(ratio)) return '–';
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2)}×`;
}
