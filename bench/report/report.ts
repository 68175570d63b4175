import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DOCUMENT, FIGURES, type Recorded, type Results } from '../results.ts';
import { paragraphs, table } from './markdown.ts';
import { METHOD } from './method.ts';
import { writeReadme } from './readme.ts';
import { sectionsOf } from './sections.ts';

/** Writes docs/benchmarks.md with its charts, and the figures of the README. */
export async function writeReport(results: Results): Promise<void> {
  const sections = sectionsOf(results);
  await mkdir(FIGURES, { recursive: true });
  for (const { charts } of sections) {
    for (const [file, svg] of Object.entries(charts)) await writeFile(join(FIGURES, file), svg);
  }
  const document = paragraphs(
    '# Benchmarks',
    'Written by `npm run bench`; do not edit.',
    warning(results),
    targets(results),
    ...sections.map(({ title, text }) => `## ${title}\n\n${text}`),
    runs(results),
    METHOD,
  );
  await writeFile(DOCUMENT, document);
  await writeReadme(results);
}

const ORDER = [
  'validate',
  'revocation',
  'reveal',
  'audited-reveal',
  'rate-limit',
  'usage-limit',
  'cold',
  'attack',
  'growth',
  'issue-revoke',
] as const;

/** The parts there are, as the document has them. */
function inOrder(results: Results): [string, Recorded][] {
  return ORDER.flatMap((part): [string, Recorded][] => {
    const result = results[part];
    return result === undefined ? [] : [[part, result]];
  });
}

function warning(results: Results): string {
  const quick = inOrder(results).flatMap(([part, { run }]) => (run.quick ? [part] : []));
  if (quick.length === 0) return '';
  return `**Not to be believed**: the figures of ${quick.join(', ')} are from a quick run, which shows only that everything works.`;
}

/** Everything that was promised, at a glance. */
function targets(results: Results): string {
  const rows = inOrder(results).flatMap(([, { targets: promised, run }]) =>
    promised.map(({ text, value, met }) => [text, value, run.quick ? 'not judged' : met ? 'met' : '**not met**']),
  );
  return `## At a glance\n\n${table(['', 'measured', ''], rows)}`;
}

/** Which run, on which machine, each part is from. */
function runs(results: Results): string {
  const parts = inOrder(results);
  const rows = parts.map(([part, { run }]) => [
    part,
    run.at.slice(0, 16).replace('T', ' '),
    `\`${run.commit}\``,
    `${run.rounds}${run.quick ? ' (quick: not to be believed)' : ''}`,
    run.loadTool,
  ]);
  const machines = new Set(
    parts.map(([, { run }]) => {
      const { cpu, cores, memoryGiB, kernel } = run.machine;
      const list = (values: Record<string, string>) =>
        Object.entries(values).map(([name, value]) => `${name} ${value}`);
      return [
        `${cores} cores of ${cpu}, ${memoryGiB} GiB, ${kernel}.`,
        `${list(run.versions).join(', ')}.`,
        `PostgreSQL: ${list(run.database).join(', ')}.`,
      ].join(' ');
    }),
  );
  return paragraphs(
    '## Where and when',
    table(['part', 'measured (UTC)', 'commit', 'rounds', 'load from'], rows),
    ...machines,
  );
}
