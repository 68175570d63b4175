import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKOUT } from '../development/checkout.ts';
import { freePort } from '../development/embedded-postgres/port.ts';
import { cpuSecondsOf, residentMiBOf } from './measure/process-tree.ts';

/** How a server is started: a program and its environment. Nothing about how it is measured. */
export interface ServerCommand {
  /** Arguments of node. */
  program: string[];
  environment: Record<string, string>;
  /** Answers 200 when the server can do its work. */
  readyPath: string;
  readyHeaders?: Record<string, string>;
  /** A channel to the process, for the memory probe. */
  channel?: boolean;
}

export interface RunningServer {
  port: number;
  process: ChildProcess;
  cpuSeconds(): number;
  residentMiB(): number;
  stop(): Promise<void>;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 15_000;
const POLL_MS = 25;

/** Starts servers, and knows all that still run. */
export class Servers {
  readonly #running = new Set<RunningServer>();
  readonly #logs: string;
  #started = 0;

  constructor(directory: string) {
    this.#logs = mkdtempSync(join(directory, 'logs-'));
  }

  async start({
    program,
    environment,
    readyPath,
    readyHeaders = {},
    channel = false,
  }: ServerCommand): Promise<RunningServer> {
    const port = await freePort();
    this.#started += 1;
    // Into a file, as in production: a pipe would have us read while we measure.
    const log = join(this.#logs, `${this.#started}.log`);
    const output = openSync(log, 'w', 0o600);
    const child = spawn(process.execPath, program, {
      cwd: CHECKOUT,
      env: { PATH: process.env['PATH'], NODE_ENV: 'production', PORT: String(port), ...environment },
      stdio: ['ignore', output, output, ...(channel ? (['ipc'] as const) : [])],
    });
    closeSync(output);
    const server = this.#serverOf(child, port);
    try {
      await untilReady(child, `http://127.0.0.1:${port}${readyPath}`, readyHeaders);
    } catch (error) {
      await server.stop();
      const text = readFileSync(log, 'utf8').slice(-4000);
      throw new Error(`${program.join(' ')} did not start: ${String(error)}\n${text}`, { cause: error });
    }
    return server;
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((server) => server.stop()));
  }

  #serverOf(child: ChildProcess, port: number): RunningServer {
    const exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
    const pid = child.pid ?? 0;
    const server: RunningServer = {
      port,
      process: child,
      cpuSeconds: () => cpuSecondsOf(pid),
      residentMiB: () => residentMiBOf(pid),
      stop: async () => {
        child.kill('SIGTERM');
        const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
        await exited;
        clearTimeout(impatience);
        this.#running.delete(server);
      },
    };
    this.#running.add(server);
    return server;
  }
}

async function untilReady(child: ChildProcess, url: string, headers: Record<string, string>): Promise<void> {
  const began = Date.now();
  let last = 'no answer';
  while (Date.now() - began < START_LIMIT_MS) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended');
    try {
      const answer = await fetch(url, { headers: { ...headers, connection: 'close' } });
      await answer.arrayBuffer();
      if (answer.status === 200) return;
      last = String(answer.status);
    } catch {}
    await sleep(POLL_MS);
  }
  throw new Error(`it was not ready in time (${last})`);
}
