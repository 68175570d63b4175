import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuiltService } from './built-service.ts';
import { SERVICE_KEY } from './client.ts';

/** The processes of the workers that have said they are ready, the first ones first; those that ended since among them. */
export function workersOf(service: Pick<BuiltService, 'output'>): { worker: number; pid: number }[] {
  return linesOf(service)
    .filter(({ msg }) => msg === 'a worker is ready')
    .map(({ worker, pid }) => ({ worker: Number(worker), pid: Number(pid) }));
}

/** What the service has logged, a parsed line each. */
export function linesOf({ output }: Pick<BuiltService, 'output'>): Record<string, unknown>[] {
  return output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    // Dead, and waiting for a parent to ask how it ended.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export interface Load {
  /** The ids of the requests that had their whole answer. */
  answered: Set<string>;
  statuses: Set<number>;
  /** Requests that had none. */
  failed: number;
  stop(): Promise<void>;
}

/** So many senders, each on a connection that it keeps open, ask one request after the other. */
export function startLoad(service: BuiltService, clerkOrgId: string, senders: number): Load {
  let going = true;
  const load: Load = {
    answered: new Set(),
    statuses: new Set(),
    failed: 0,
    async stop() {
      going = false;
      await Promise.all(asking);
    },
  };
  const asking = Array.from({ length: senders }, async (_, sender) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let count = 0; going; count += 1) {
      const id = `load-${sender}-${count}`;
      try {
        load.statuses.add(await ask(service.port, `/internal/api-keys?clerkOrgId=${clerkOrgId}`, id, agent));
        load.answered.add(id);
      } catch {
        load.failed += 1;
      }
      await sleep(2);
    }
    agent.destroy();
  });
  return load;
}

/** Resolves with the status when the whole answer is there. */
function ask(port: number, path: string, id: string, agent: Agent): Promise<number> {
  const headers = { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': id };
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, headers, agent }, (response) => {
      response.on('error', reject).on('end', () => resolve(response.statusCode ?? 0));
      response.resume();
    })
      .on('error', reject)
      .end();
  });
}
