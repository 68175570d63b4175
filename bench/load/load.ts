import type { Percentiles } from '../statistics.ts';

export interface Load {
  port: number;
  path: string;
  connections: number;
  seconds: number;
  /** Which keys are asked about: those of a file in turn, or ones that were never issued, each once. */
  keys: { file: string } | 'unknown';
  /** Any other status fails the run; of unknown keys, some may be answered 503 by a service that bounds its look-ups. */
  expectedStatus: number;
}

export interface LoadResult {
  requests: number;
  seconds: number;
  latencyMs: Percentiles;
  maxMs: number;
  /** Answers that took longer than two seconds. */
  timeouts: number;
  /** Answers that were a 503 by right. */
  refused: number;
}

/** A tool that asks as fast as it is answered, on a fixed number of connections (a closed loop). */
export interface LoadTool {
  /** Its name and version, for the report. */
  name: string;
  run(load: Load, signal: AbortSignal): Promise<LoadResult>;
}

/** A server answered something else than it should have: no figure of this run can be believed. */
export class UnexpectedAnswers extends Error {
  override readonly name = 'UnexpectedAnswers';
}
