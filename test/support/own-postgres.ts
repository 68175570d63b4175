import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../development/embedded-postgres/embedded-postgres.ts';

/** A server of a test's own, to be ended and started again. */
export interface OwnPostgres {
  readonly url: string;
  /** A fast shutdown. */
  stop(): Promise<void>;
  /** kill -9 of the server. */
  kill(): Promise<void>;
  start(settings?: Record<string, string>): Promise<void>;
  /** Another server on a copy of this one's data; this one must be stopped. Not started yet. */
  copy(): Promise<OwnPostgres>;
  /** Says that it is a standby, from its next start on. */
  follow(primaryUrl: string): Promise<void>;
  remove(): Promise<void>;
}

/** Started, with the database `key_service`. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const postgres = ownPostgres(await newDirectory());
  await postgres.start();
  return postgres;
}

const newDirectory = () => mkdtemp(join(tmpdir(), 'key-service-own-'));

function ownPostgres(directory: string): OwnPostgres {
  const cluster = join(directory, 'cluster');
  let server: EmbeddedPostgres | undefined;
  let standby: Record<string, string> = {};
  return {
    get url() {
      if (server === undefined) throw new Error('It is not running');
      return server.url;
    },
    async stop() {
      await server?.stop();
    },
    async kill() {
      const [pid] = (await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n');
      process.kill(Number(pid), 'SIGKILL');
    },
    async start(settings = {}) {
      server = await startEmbeddedPostgres({
        directory,
        database: 'key_service',
        settings: { ...standby, ...settings },
      });
    },
    async copy() {
      const target = await newDirectory();
      // With owners and modes, which Node's own copy does not keep.
      await promisify(execFile)('cp', ['-a', `${directory}/.`, target]);
      return ownPostgres(target);
    },
    async follow(primaryUrl) {
      const { port, username, password } = new URL(primaryUrl);
      standby = { primary_conninfo: `host=127.0.0.1 port=${port} user=${username} password=${password}` };
      await writeFile(join(cluster, 'standby.signal'), '');
    },
    async remove() {
      await server?.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
