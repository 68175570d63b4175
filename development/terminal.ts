import { Failure } from './failure.ts';

export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** Progress goes to stderr: what a command prints for its caller stays clean. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Runs a command's main function, which answers with the exit code. */
export async function runMain(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    tell(error instanceof Failure ? `\n${error.message}` : describe(error));
    process.exitCode = 1;
  }
}

/** Aborts at the first request to end. Further ones (Ctrl-C reaches npm and us) change nothing. */
export function endRequested(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => controller.abort());
  }
  return controller.signal;
}

function describe(error: unknown): string {
  // A folder that cannot be written, a file where a folder should be: the system says it well enough in one line.
  if (error instanceof Error && 'code' in error && 'path' in error) return `\n${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
