import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKOUT } from '../checkout.ts';

/** Arguments of node for the sources, and for what `npm run build` made of them. */
export const FROM_SOURCES = ['--import', 'tsx', 'src/main.ts'];
export const BUILT = ['dist/main.js'];

/** The service finishes its requests within this; then it has had its chance. */
const STOP_LIMIT_MS = 10_000;
const START_LIMIT_MS = 60_000;
const POLL_MS = 100;

const EXIT_WITH_PARENT = new URL('./exit-with-parent.mjs', import.meta.url).href;

export interface ServiceProcess {
  /** How it ended: `exit code 1`, `signal SIGKILL`. */
  readonly ended: Promise<string>;
  /** True as soon as `GET /health` answers; false when the process ended or was too slow. */
  healthy(url: string): Promise<boolean>;
  /** Ends it gracefully if it can be. */
  stop(): Promise<void>;
}

export interface ServiceOptions {
  environment: NodeJS.ProcessEnv;
  cwd?: string;
  /** Keep the service's own output (its log) off the terminal. */
  quiet?: boolean;
}

export function startService(
  nodeArguments: string[],
  { environment, cwd = CHECKOUT, quiet = false }: ServiceOptions,
): ServiceProcess {
  const child = spawn(process.execPath, ['--import', EXIT_WITH_PARENT, ...nodeArguments], {
    cwd,
    env: environment,
    // A session of its own: Ctrl-C reaches us alone, and we stop the service before its database.
    detached: true,
    stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'inherit', 'ipc'],
  });
  let running = true;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  }).finally(() => {
    running = false;
  });

  return {
    ended,
    async healthy(url) {
      const began = Date.now();
      while (running && Date.now() - began < START_LIMIT_MS) {
        if (await isKeyService(url)) return running;
        await Promise.race([sleep(POLL_MS), ended]);
      }
      return false;
    },
    async stop() {
      child.kill('SIGTERM');
      const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await ended;
      clearTimeout(impatience);
    },
  };
}

/** Whether a Key Service answers at this address. */
export async function isKeyService(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(2_000),
    });
    const body: unknown = await answer.json();
    return (
      answer.ok && typeof body === 'object' && body !== null && 'service' in body && body.service === 'key-service'
    );
  } catch {
    return false;
  }
}
