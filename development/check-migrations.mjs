// Drizzle applies the migrations whose time is after the last applied one, and silently skips any
// other: a branch merged late would lose its migration. So the journal must only ever move forward.
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** What is wrong with a folder of migrations, a sentence each. */
async function findJournalFaults(folder) {
  const journal = JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8'));
  const scripts = new Set((await readdir(folder)).filter((name) => name.endsWith('.sql')));
  const faults = [];
  journal.entries.forEach((entry, position) => {
    const previous = journal.entries[position - 1];
    if (previous && entry.idx <= previous.idx) {
      faults.push(`${entry.tag} has idx ${entry.idx}, not after ${previous.tag} with ${previous.idx}.`);
    }
    if (previous && entry.when <= previous.when) {
      faults.push(
        `${entry.tag} is not newer than ${previous.tag} before it, so databases that have that one would skip it: generate it again.`,
      );
    }
    if (!scripts.delete(`${entry.tag}.sql`)) {
      faults.push(`${entry.tag} is in the journal, but ${entry.tag}.sql is missing or listed twice.`);
    }
  });
  for (const script of scripts) faults.push(`${script} is not in the journal: it would never run.`);
  return faults;
}

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, '..', 'migrations'));
const faults = await findJournalFaults(folder);
for (const fault of faults) process.stderr.write(`Migrations: ${fault}\n`);
if (faults.length > 0) process.exitCode = 1;
