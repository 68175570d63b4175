import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKOUT } from '../../development/checkout.ts';
import { medianOf } from '../measure/figures.ts';
import type { Results } from '../results.ts';
import { percentilesOfValues, ratioText } from '../statistics.ts';
import { EXPRESS, NODE_HTTP, SERVICE } from '../subjects.ts';
import { milliseconds, paragraphs, table } from './markdown.ts';

const README = join(CHECKOUT, 'README.md');
const BEGIN = '<!-- written by npm run bench -->';
const END = '<!-- to here -->';
/** Of the peers those that say most; all are in the document. */
const SHOWN = [NODE_HTTP, SERVICE, EXPRESS, 'naive', 'better-auth-unlimited'];

/** The figures of the README, between their two comments. */
export async function writeReadme(results: Results): Promise<void> {
  const text = await readFile(README, 'utf8');
  await writeFile(README, withFigures(text, results));
}

/** @throws Error when the README has not the two comments, once each and in order */
export function withFigures(readme: string, results: Results): string {
  const [before, rest, ...more] = readme.split(BEGIN);
  const [, after, ...others] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined || more.length + others.length > 0) {
    throw new Error('README.md has no place for the figures');
  }
  return `${before}${BEGIN}\n\n${figuresText(results)}\n\n${END}${after}`;
}

function figuresText({ validate, revocation, growth }: Results): string {
  return paragraphs(
    validate && '![Requests a second of Key Service and its peers](docs/benchmarks/throughput.svg)',
    validate && peers(validate),
    revocation && revocationSentence(revocation.revocation.lagsMs),
    growth && `A key in memory takes ${Math.round(growth.memory.bytesPerKey)} bytes.`,
  );
}

function peers({ rounds, subjects }: NonNullable<Results['validate']>): string {
  const speed = (id: string) => medianOf(rounds, id, ({ requestsPerSecond }) => requestsPerSecond);
  const shown = SHOWN.flatMap((id) => subjects.filter((subject) => subject.id === id));
  return table(
    ['`GET /validate`, one process, 32 connections', 'requests/s', '× Express', 'p99'],
    shown.map(({ id, name }) => [
      name,
      Math.round(speed(id)).toLocaleString('en'),
      ratioText(speed(id) / speed(EXPRESS)),
      milliseconds(medianOf(rounds, id, ({ latencyMs }) => latencyMs.p99)),
    ]),
  );
}

function revocationSentence(lagsMs: number[]): string {
  const p99 = milliseconds(percentilesOfValues(lagsMs).p99);
  const worst = milliseconds(Math.max(...lagsMs));
  return `Of ${lagsMs.length} revocations under load, four replicas accepted a revoked key for at most ${worst} after the answer, and 99 in 100 for at most ${p99}.`;
}
