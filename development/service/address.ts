import { createServer } from 'node:net';
import { Failure } from '../failure.ts';
import { variable } from '../variable.ts';
import { isKeyService } from './service-process.ts';

export interface Address {
  host: string;
  port: number;
  /** As a client on this machine reaches it. */
  url: string;
}

/** Where the service will listen, by the same variables that the service reads. */
export function serviceAddress(): Address {
  const host = variable('HOST') ?? '127.0.0.1';
  const port = Number(variable('PORT') ?? 3001);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Failure('PORT must be a whole number from 1 to 65535.');
  return { host, port, url: `http://${reachable(host)}:${port}` };
}

/** Listening on every interface means: also on loopback. An IPv6 address needs its brackets. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

/** Says at once, before a database is started in vain, that somebody else listens there. */
export async function requireFree({ host, port, url }: Address): Promise<void> {
  if (!(await isTaken(host, port))) return;
  const whose = (await isKeyService(url)) ? 'another Key Service' : 'another program';
  throw new Failure(
    `Port ${port} on ${host} is in use by ${whose}. Stop it, or choose a port and a database of its own: ` +
      `PORT=${port + 1} KEY_SERVICE_DATA_DIR=.key-service-${port + 1} npm run dev`,
  );
}

function isTaken(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    // Any other trouble, a port that is none for example, is the service's to explain.
    server.once('error', (error) => resolve('code' in error && error.code === 'EADDRINUSE'));
    server.listen({ host, port }, () => server.close(() => resolve(false)));
  });
}
