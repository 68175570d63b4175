import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { openToServer } from '../development/embedded-postgres/embedded-postgres.ts';
import { Failure } from '../development/failure.ts';
import { endRequested, runMain, tell } from '../development/terminal.ts';
import { type Bench, FULL, openBench, QUICK } from './bench.ts';
import { compileServers } from './compile-servers.ts';
import { startPostgres } from './database.ts';
import { AUTOCANNON } from './load/autocannon.ts';
import { wrk } from './load/wrk.ts';
import { commit, describeMachine, versions } from './measure/machine.ts';
import { PARTS } from './parts/parts.ts';
import { writeReport } from './report/report.ts';
import { printResult } from './report/terminal.ts';
import { type Results, type RunDescription, readResults, writeResults } from './results.ts';
import { Servers } from './servers.ts';
import { startStandIns } from './stand-ins.ts';

interface Options {
  quick: boolean;
  write: boolean;
}

const names = PARTS.map(({ name }) => name);
const program = new Command('bench')
  .description('Measures the built service against its peers, on a PostgreSQL of its own.')
  .addArgument(new Argument('[parts...]', 'what to measure').choices(names).default(names, 'everything'))
  .option('--quick', 'one short round each: whether everything works, not how fast it is; implies --no-write', false)
  .option('--no-write', 'print the figures, and leave docs/ as it is')
  .option('--report', 'write the document anew from the figures of earlier runs')
  .addHelpText('after', `\n${PARTS.map(({ name, summary }) => `  ${name.padEnd(14)}${summary}`).join('\n')}`)
  .parse();

async function main(): Promise<number> {
  const { quick, write: asked, report } = program.opts<Options & { report?: boolean }>();
  if (report) {
    await writeReport(await readResults());
    return 0;
  }
  if (!existsSync('/proc/stat')) throw new Failure('The benchmark reads /proc, so it needs Linux.');
  const chosen = PARTS.filter(({ name }) => (program.processedArgs[0] as string[]).includes(name));
  // Its figures are not to be believed, and those that they would replace are.
  const write = asked && !quick;
  const signal = endRequested();
  if (quick) tell('A quick run: docs/ is left as it is.');
  return withBench(quick, signal, async (bench, run) => {
    for (const part of chosen) {
      signal.throwIfAborted();
      const began = performance.now();
      tell(`\n${part.name}: ${part.summary}`);
      const result = { ...(await part.run(bench)), run };
      printResult(result);
      tell(`  ${part.name} took ${((performance.now() - began) / 1000).toFixed(0)} s`);
      // After every part: a run that fails at its end has not been in vain.
      if (write) await merge({ [part.name]: result });
    }
    return 0;
  });
}

async function merge(results: Results): Promise<void> {
  const merged = { ...(await readResults()), ...results };
  await writeResults(merged);
  await writeReport(merged);
}

/** Starts what every part needs, and ends it all, however the work ends. */
async function withBench(
  quick: boolean,
  signal: AbortSignal,
  work: (bench: Bench, run: RunDescription) => Promise<number>,
): Promise<number> {
  const effort = quick ? QUICK : FULL;
  const directory = await mkdtemp(join(tmpdir(), 'key-service-bench-'));
  const ending: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  try {
    compileServers();
    await openToServer(directory);
    const postgres = await startPostgres(directory, tell);
    ending.push(() => postgres.stop());
    const standIns = await startStandIns();
    ending.push(() => standIns.close());
    const servers = new Servers(directory);
    ending.push(() => servers.stopAll());
    const loadTool = wrk() ?? AUTOCANNON;
    const bench = await openBench({ effort, directory, postgres, standIns, servers, loadTool, signal, tell });
    return await work(bench, {
      at: new Date().toISOString(),
      commit: commit(),
      quick,
      rounds: effort.rounds,
      loadTool: loadTool.name,
      machine: describeMachine(),
      versions: versions(postgres.version),
      database: postgres.settings,
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    tell('\ninterrupted');
    return 130;
  } finally {
    for (const end of ending.reverse()) await end();
  }
}

await runMain(main);
