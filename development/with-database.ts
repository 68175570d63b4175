import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { CHECKOUT } from './checkout.ts';
import { composeEnvironment } from './environment.ts';
import { Failure } from './failure.ts';
import { runMain, tell } from './terminal.ts';

const BINARIES = join(CHECKOUT, 'node_modules', '.bin');

/** Runs a command in the environment that `npm run dev` has, with the database up meanwhile. */
async function withDatabase(): Promise<number> {
  const [command, ...commandArguments] = process.argv.slice(2);
  if (command === undefined) {
    throw new Failure('Usage: with-database <command> [arguments…]');
  }
  const environment = await composeEnvironment(tell);
  try {
    return await run(command, commandArguments, {
      ...environment.variables,
      PATH: [BINARIES, process.env['PATH']].filter(Boolean).join(delimiter),
    });
  } finally {
    await environment.stop();
  }
}

/** The exit code as a shell would put it: 128 and the signal's number for a command that one ended. */
function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, args, { env, stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  // A terminal sends Ctrl-C to the command as well as to us; anybody else sends it to us alone.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(new Failure(`${command} cannot be run: ${error.message}`));
    });
    child.once('exit', (code, signal) => {
      resolve(signal ? 128 + constants.signals[signal] : (code ?? 1));
    });
  });
}

await runMain(withDatabase);
