import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { portFor } from './cluster.ts';
import { askOwner, databaseUrl, OWNER_SETTING } from './connection.ts';
import { isAlive } from './is-alive.ts';
import { postmasterFile, removeMisleadingFile, runningPostmaster } from './postmaster.ts';
import { launchServer, type ServerOptions } from './server.ts';
import { EmbeddedPostgresError } from './unavailable.ts';

/** For an earlier server to finish, or for ours to recover from a crash. */
const PATIENCE_MS = 60_000;

/**
 * A start fails for reasons that pass by themselves: another process was faster, the port has just
 * been taken, the workers of a killed server are still leaving. Only one that keeps failing is news.
 */
const KEEP_TRYING_MS = 5_000;
const POLL_MS = 25;

export interface StartOptions extends Omit<ServerOptions, 'port'> {
  password: string;
  onProgress: (message: string) => void;
}

export interface RunningServer {
  port: number;
  attached: boolean;
  stop(): Promise<void>;
}

/** Joins the server that runs on the cluster for a living process, or starts one. */
export async function startOrAttach(options: StartOptions): Promise<RunningServer> {
  const { cluster, onProgress } = options;
  const began = Date.now();
  let failingSince: number | undefined;
  let waiting = false;

  while (Date.now() - began < PATIENCE_MS) {
    const postmaster = await runningPostmaster(cluster);
    if (postmaster) {
      if (await belongsToSomebody(postmaster.port, options.password)) {
        return { port: postmaster.port, attached: true, stop: async () => {} };
      }
      if (!waiting) onProgress('waiting for the server that runs on this database');
      waiting = true;
    } else {
      const server = await startOwn(options);
      if (server) return server;
      failingSince ??= Date.now();
      await giveUpAfter(failingSince, options.log);
      await removeMisleadingFile(cluster);
    }
    await sleep(POLL_MS);
  }
  throw new EmbeddedPostgresError(
    `Another PostgreSQL server seems to run on this database and does not end. If no process of that number is one, delete ${postmasterFile(cluster)}.`,
  );
}

/** Whether the server accepts connections and will stay: one whose owner is gone is about to end. */
async function belongsToSomebody(port: number, password: string): Promise<boolean> {
  const owner = await askOwner(databaseUrl(port, password, 'postgres'));
  return owner !== undefined && isAlive(owner);
}

/** Starts a server and waits until it accepts connections; undefined when it ended instead. */
async function startOwn(options: StartOptions): Promise<RunningServer | undefined> {
  const { account, binaries, cluster, password, settings } = options;
  const port = await portFor(cluster, binaries, account);
  const server = await launchServer({
    ...options,
    port,
    settings: { ...settings, [OWNER_SETTING]: String(process.pid) },
  });
  let ended = false;
  void server.exited.then(() => {
    ended = true;
  });
  const began = Date.now();
  while (!ended) {
    if ((await askOwner(databaseUrl(port, password, 'postgres'))) === process.pid) {
      return { port, attached: false, stop: server.stop };
    }
    if (Date.now() - began > PATIENCE_MS) {
      await server.stop();
      throw new EmbeddedPostgresError(`PostgreSQL did not become ready in time; its log is ${options.log}.`);
    }
    await sleep(POLL_MS);
  }
  return undefined;
}

async function giveUpAfter(failingSince: number, log: string): Promise<void> {
  if (Date.now() - failingSince < KEEP_TRYING_MS) return;
  const lastLines = (await readFile(log, 'utf8')).trimEnd().split('\n').slice(-5).join('\n');
  throw new EmbeddedPostgresError(`PostgreSQL does not start. Its log (${log}) says:\n${lastLines}\n`);
}
