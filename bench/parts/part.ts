import type { Bench } from '../bench.ts';
import type { PartResult } from '../results.ts';

/** One part of the benchmark: `npm run bench -- <name>`. */
export interface Part<T extends PartResult = PartResult> {
  name: string;
  /** What it measures, for `--help`. */
  summary: string;
  run(bench: Bench): Promise<T>;
}
