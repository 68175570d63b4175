import type { Server } from 'node:http';

/** Listens where the benchmark says, on loopback alone, and ends when it is told to. */
export function listen(server: Server, close: () => Promise<void> = async () => {}): void {
  server.listen(Number(process.env['PORT']), '127.0.0.1');
  process.once('SIGTERM', () => {
    server.closeAllConnections();
    server.close(() => void close().finally(() => process.exit(0)));
  });
}

export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
}
