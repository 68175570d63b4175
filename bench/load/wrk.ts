import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PERCENTILES, percentilesOf } from '../statistics.ts';
import { type Load, type LoadResult, type LoadTool, UnexpectedAnswers } from './load.ts';

const LUA = fileURLToPath(new URL('lua', import.meta.url));
/** One thread drives 32 connections faster than any server here answers them, and leaves a core to the server. */
const THREADS = 1;

interface Summary extends Record<`p${string}`, number> {
  requests: number;
  micros: number;
  max: number;
  failed: number;
  connect: number;
  read: number;
  write: number;
  timeout: number;
  unexpected: number;
  refused: number;
}

/** undefined where it is not installed. */
export function wrk(): LoadTool | undefined {
  const { error, stdout, stderr } = spawnSync('wrk', ['-v'], { encoding: 'utf8' });
  if (error !== undefined) return undefined;
  const version = /wrk (?:debian\/)?(\d[\w.]*)/.exec(stdout + stderr)?.[1] ?? '';
  return { name: `wrk ${version}`, run };
}

async function run(load: Load, signal: AbortSignal): Promise<LoadResult> {
  const known = load.keys !== 'unknown';
  // A 200 is counted by wrk itself; telling a 401 from a 503 takes a function of ours at every answer.
  if (known && load.expectedStatus !== 200) throw new Error('Known keys are expected to be good');
  const script = known ? 'known.lua' : 'unknown.lua';
  const scriptArguments = known
    ? [(load.keys as { file: string }).file, load.path]
    : [freshStart(), load.path, String(load.expectedStatus)];
  const { stdout } = await promisify(execFile)(
    'wrk',
    [
      ...[`-t${THREADS}`, `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '2s'],
      ...['-s', `${LUA}/${script}`, `http://127.0.0.1:${load.port}`, '--', ...scriptArguments],
    ],
    { signal, env: { PATH: process.env['PATH'], BENCH_LUA: LUA, BENCH_PERCENTILES: PERCENTILES.join(' ') } },
  );
  const line = /^RESULT (.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk reported nothing:\n${stdout}`);
  return resultOf(JSON.parse(line) as Summary, known);
}

function resultOf(summary: Summary, known: boolean): LoadResult {
  const { requests, connect, read, write, failed, unexpected } = summary;
  const wrong = { connect, read, write, unexpected: known ? failed : unexpected };
  if (requests === 0 || Object.values(wrong).some((count) => count > 0)) {
    throw new UnexpectedAnswers(`Of ${requests} requests went wrong: ${JSON.stringify(wrong)}`);
  }
  return {
    requests,
    seconds: summary.micros / 1e6,
    latencyMs: percentilesOf((percentile) => (summary[`p${percentile}`] ?? Number.NaN) / 1000),
    maxMs: summary.max / 1000,
    timeouts: summary.timeout,
    refused: summary.refused,
  };
}

/** 35 characters that begin no other run's keys; eight that count follow, and the checksum. */
function freshStart(): string {
  return randomBytes(35).toString('hex').slice(0, 35);
}
