import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../development/embedded-postgres/port.ts';
import { type Client, clientOf, SERVICE_KEY } from './client.ts';

/** The service as `npm run build` made it, in a process of its own. */
export interface BuiltService extends Client {
  process: ChildProcess;
  port: number;
  /** All that it wrote, to stdout and stderr. */
  output(): string;
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Exit>;
  exit: Promise<Exit>;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

/** What production requires, with values that are obviously nobody's. */
export function productionEnvironment(databaseUrl: string): NodeJS.ProcessEnv {
  return {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: '0',
    KEY_SERVICE_DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    KEY_SERVICE_API_KEY: SERVICE_KEY,
    CLERK_SECRET_KEY: 'sk_test_not_a_real_key',
    // Nothing listens there: membership is unavailable, and nothing leaves this machine.
    CLERK_API_URL: 'http://127.0.0.1:9',
  };
}

/** Starts it, and does not wait. */
export function spawnBuiltService(environment: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ['dist/main.js'], {
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
  const exit = new Promise<Exit>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  return { process: child, output: () => output, exit };
}

/** Starts it and waits until it says that it is ready. @throws with its output when it ends instead */
export function startBuiltService(environment: NodeJS.ProcessEnv): Promise<BuiltService> {
  return whenReady(spawnBuiltService(environment));
}

export async function whenReady(spawned: ReturnType<typeof spawnBuiltService>): Promise<BuiltService> {
  const port = await Promise.race([portOf(spawned.output), spawned.exit.then(() => undefined)]);
  if (port === undefined) throw new Error(`The service ended instead of starting:\n${spawned.output()}`);
  return {
    ...spawned,
    ...clientOf(`http://127.0.0.1:${port}`),
    port,
    end(signal = 'SIGTERM') {
      spawned.process.kill(signal);
      return spawned.exit;
    },
  };
}

async function portOf(output: () => string): Promise<number | undefined> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 20) {
    const ready = /"port":(\d+),"msg":"Key Service is ready"/.exec(output());
    if (ready !== null) return Number(ready[1]);
    await sleep(20);
  }
  return undefined;
}

/** Another process may have taken the port that was free a moment before. */
const PORT_ATTEMPTS = 5;

/** The same, with its metrics. */
export async function startBuiltReplica(
  environment: NodeJS.ProcessEnv,
): Promise<BuiltService & { metricsPort: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const metricsPort = await freePort();
    const spawned = spawnBuiltService({ ...environment, METRICS_PORT: String(metricsPort) });
    try {
      return { ...(await whenReady(spawned)), metricsPort };
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !spawned.output().includes('EADDRINUSE')) throw error;
    }
  }
}
