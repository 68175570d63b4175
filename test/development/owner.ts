import type { ChildProcess } from 'node:child_process';
import { firstLine, killAtOnce, runProgram } from './processes.ts';

/** A process that owns an embedded server, to be killed. */
export interface Owner {
  readonly url: string;
  readonly attached: boolean;
  kill(): Promise<void>;
}

const LAUNCHER = new URL('../../development/embedded-postgres/embedded-postgres.ts', import.meta.url).href;

const PROGRAM = `
  const [launcher, directory, durable] = process.argv.slice(1);
  const { startEmbeddedPostgres } = await import(launcher);
  const options = { directory, database: 'rooms', durable: durable === 'true' };
  const { url, attached } = await startEmbeddedPostgres(options);
  console.log(JSON.stringify({ url, attached }));
  setInterval(() => {}, 60_000);
`;

export async function startOwner(directory: string, durable = false): Promise<Owner> {
  const child = spawnOwner(directory, durable);
  const server: { url: string; attached: boolean } = JSON.parse(await firstLine(child));
  return { ...server, kill: () => killAtOnce(child) };
}

/** An owner whose server is not waited for. */
export function spawnOwner(directory: string, durable = false): ChildProcess {
  return runProgram(PROGRAM, [LAUNCHER, directory, String(durable)]);
}
