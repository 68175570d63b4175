import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CHECKOUT } from '../development/checkout.ts';
import type { Figures } from './measure/figures.ts';
import type { Machine } from './measure/machine.ts';

/** Something that was promised, and whether this run found it kept. */
export interface Target {
  text: string;
  value: string;
  met: boolean;
}

/** The run that a part's figures come from. */
export interface RunDescription {
  at: string;
  commit: string;
  quick: boolean;
  rounds: number;
  loadTool: string;
  machine: Machine;
  versions: Record<string, string>;
  database: Record<string, string>;
}

export interface PartResult {
  targets: Target[];
  notes: string[];
  /** Names of the subjects, in the order of the tables. */
  subjects: { id: string; name: string }[];
  rounds: Figures[];
}

export type Recorded<T extends PartResult = PartResult> = T & { run: RunDescription };

/** What is known of every part, each from the latest run that measured it. */
export type Results = Record<string, Recorded>;

export const DOCUMENT = join(CHECKOUT, 'docs', 'benchmarks.md');
export const FIGURES = join(CHECKOUT, 'docs', 'benchmarks');
const RAW = join(FIGURES, 'results.json');

export async function readResults(): Promise<Results> {
  return existsSync(RAW) ? (JSON.parse(await readFile(RAW, 'utf8')) as Results) : {};
}

export async function writeResults(results: Results): Promise<void> {
  await mkdir(dirname(RAW), { recursive: true });
  await writeFile(RAW, `${JSON.stringify(results, rounded, 1)}\n`);
}

/** Six digits are more than any of this is worth. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}
