import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

/** `key-service …` as `npm run build` made it, in a process of its own. */
export function spawnCommand(args: readonly string[], environment: NodeJS.ProcessEnv) {
  return spawnInCheckout(process.execPath, ['dist/cli/main.js', ...args], environment);
}

/** Runs it to its end on a terminal, which `script` of util-linux makes. Its output has whatever moves the cursor. */
export async function runOnTerminal(args: readonly string[], environment: NodeJS.ProcessEnv) {
  const line = [process.execPath, 'dist/cli/main.js', ...args].join(' ');
  const terminal = spawnInCheckout('script', ['-qec', line, '/dev/null'], { TERM: 'xterm', ...environment });
  return { code: await terminal.exit, output: terminal.output() };
}

export const hasTerminals = spawnSync('script', ['--version']).status === 0;

function spawnInCheckout(command: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
  const child = spawn(command, args, {
    cwd: CHECKOUT,
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { process: child, output: () => output, exit };
}

/** Runs it to its end. */
export async function runCommand(args: readonly string[], environment: NodeJS.ProcessEnv) {
  const command = spawnCommand(args, environment);
  return { code: await command.exit, output: command.output() };
}
