import { onTestFinished } from 'vitest';
import type { Client } from './client.ts';
import { timed } from './stopwatch.ts';

/** One validation that was asked for, by this process's monotonic clock. */
export interface SeenValidation {
  beganMs: number;
  /** See stopwatch.ts. */
  tookMs: number;
  status: number;
  code: string | undefined;
}

export interface ValidationWatch {
  seen: SeenValidation[];
  /** No more are begun; resolves when all of them are answered. */
  stop(): Promise<SeenValidation[]>;
}

interface How {
  everyMs?: number;
  /** What is asked of the key, if it is more than whether it is good. */
  path?: string;
}

/** Validates a key again and again, every few milliseconds whether or not the one before has been answered. */
export function watchValidations(
  client: Pick<Client, 'asHolder'>,
  key: string,
  { everyMs = 20, path = '/validate' }: How = {},
): ValidationWatch {
  const seen: SeenValidation[] = [];
  const asked: Promise<void>[] = [];
  const ask = async () => {
    const beganMs = performance.now();
    const { answer, tookMs } = await timed(() => client.asHolder(key, path));
    seen.push({ beganMs, tookMs, status: answer.status, code: answer.body.code });
  };
  const timer = setInterval(() => {
    const asking = ask();
    asking.catch(() => {}); // stop() tells
    asked.push(asking);
  }, everyMs);
  onTestFinished(() => clearInterval(timer)); // if the test failed before it stopped
  return {
    seen,
    async stop() {
      clearInterval(timer);
      await Promise.all(asked);
      return seen.toSorted((a, b) => a.beganMs - b.beganMs);
    },
  };
}

/** Those that were accepted though they began after this instant. */
export function acceptedAfter(seen: readonly SeenValidation[], ms: number): SeenValidation[] {
  return seen.filter(({ status, beganMs }) => status === 200 && beganMs > ms);
}

/** Every answer that was given, as `200` or `503 database_unavailable`, once each and sorted. */
export function answersOf(seen: readonly SeenValidation[]): string[] {
  return [...new Set(seen.map(({ status, code }) => (code === undefined ? `${status}` : `${status} ${code}`)))].sort();
}
