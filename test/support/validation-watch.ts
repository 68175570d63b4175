import type { Client } from './client.ts';

/** One validation that was asked for, by this process's monotonic clock. */
export interface SeenValidation {
  beganMs: number;
  /** Without the time in which this process was not given a processor: a busy machine is not what is measured. */
  tookMs: number;
  status: number;
  code: string | undefined;
}

export interface ValidationWatch {
  seen: SeenValidation[];
  /** No more are begun; resolves when all of them are answered. */
  stop(): Promise<SeenValidation[]>;
}

/** Validates a key again and again, every few milliseconds whether or not the one before has been answered. */
export function watchValidations(client: Pick<Client, 'asHolder'>, key: string, everyMs = 20): ValidationWatch {
  const seen: SeenValidation[] = [];
  const asked: Promise<void>[] = [];
  const heart = startHeartbeat();
  const ask = async () => {
    const [beganMs, lostMs] = [performance.now(), heart.lostMs()];
    const { status, body } = await client.asHolder(key, '/validate');
    const tookMs = performance.now() - beganMs - (heart.lostMs() - lostMs);
    seen.push({ beganMs, tookMs, status, code: body.code });
  };
  const timer = setInterval(() => asked.push(ask()), everyMs);
  return {
    seen,
    async stop() {
      clearInterval(timer);
      await Promise.all(asked);
      heart.stop();
      return seen.toSorted((a, b) => a.beganMs - b.beganMs);
    },
  };
}

const BEAT_MS = 10;

/** Tells for how long this process has stood still so far. */
function startHeartbeat() {
  let lostMs = 0;
  let lastMs = performance.now();
  const sinceLastBeat = () => Math.max(0, performance.now() - lastMs - BEAT_MS);
  const timer = setInterval(() => {
    lostMs += sinceLastBeat();
    lastMs = performance.now();
  }, BEAT_MS);
  return { lostMs: () => lostMs + sinceLastBeat(), stop: () => clearInterval(timer) };
}

/** Those that were accepted though they began after this instant. */
export function acceptedAfter(seen: readonly SeenValidation[], ms: number): SeenValidation[] {
  return seen.filter(({ status, beganMs }) => status === 200 && beganMs > ms);
}

/** Every answer that was given, as `200` or `503 database_unavailable`, once each and sorted. */
export function answersOf(seen: readonly SeenValidation[]): string[] {
  return [...new Set(seen.map(({ status, code }) => (code === undefined ? `${status}` : `${status} ${code}`)))].sort();
}
