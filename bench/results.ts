import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CHECKOUT } from '../development/checkout.ts';
import type { Disturbance } from './measure/disturbance.ts';
import type { Figures } from './measure/figures.ts';
import type { Machine } from './measure/machine.ts';
import type { Percentiles } from './statistics.ts';

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

export interface AttackRound {
  round: number;
  garbage: boolean;
  known: Percentiles;
  knownStatuses: Record<number, number>;
  garbageStatuses: Record<number, number>;
  /** Look-ups by hash that the database did in this round. */
  lookUps: number;
  residentBeforeMiB: number;
  residentAfterMiB: number;
  disturbance: Disturbance;
}

export interface AttackResult extends PartResult {
  knownRate: number;
  garbageRate: number;
  attack: AttackRound[];
}

export interface MemoryFigures {
  /** Bytes of heap and buffers for each key that was met, after a garbage collection. */
  bytesPerKey: number;
  heldKeys: number;
  /** Resident memory under load with few keys, and the heap after a collection. */
  baseResidentMiB: number;
  baseHeapMiB: number;
  /** While more and more distinct keys are met. */
  cycle: { keys: number; residentMiB: number }[];
  afterCycleHeapMiB: number;
  notes: string[];
}

export interface GrowthResult extends PartResult {
  sizes: number[];
  memory: MemoryFigures;
}

/** What the figures of a database with so many keys are kept under. */
export const knownOf = (size: number) => `known-${size}`;
export const coldOf = (size: number) => `cold-${size}`;

export interface RevocationResult extends PartResult {
  revocation: {
    replicas: number;
    backgroundRate: number;
    /** From the answer to the DELETE to the arrival of the last 200 anywhere; 0 where none came after it. */
    lagsMs: number[];
    /** The same, to when the last accepted request was sent: what a client that asks from now on may still meet. */
    sentLagsMs: number[];
    /** Answered 503 at first, and left out of the figures. */
    retried: number;
    revokeMs: Percentiles;
    /** How the other customers were answered. */
    customers: Record<number, number>;
    disturbance: Disturbance;
  };
}

export type Recorded<T extends PartResult = PartResult> = T & { run: RunDescription };

/** What is known of every part, each from the latest run that measured it. */
export interface Results {
  validate?: Recorded;
  reveal?: Recorded;
  'audited-reveal'?: Recorded;
  'rate-limit'?: Recorded;
  'usage-limit'?: Recorded;
  cold?: Recorded;
  attack?: Recorded<AttackResult>;
  growth?: Recorded<GrowthResult>;
  revocation?: Recorded<RevocationResult>;
  'issue-revoke'?: Recorded;
}

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
