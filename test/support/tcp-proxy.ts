import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server, and can take the network away in the ways in which networks go. */
export interface TcpProxy {
  port: number;
  /** The URL of what stands behind, led through the proxy. */
  through(url: string): string;
  /** Connections break, and new ones are refused at once. */
  cut(): void;
  /** Connections stay open and nothing moves any more, in new ones either. */
  stall(): void;
  /** Everything works again; connections that were stalled stay dead. */
  restore(): void;
  /** Everything works again; connections that were stalled go on where they were. */
  resume(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const pairs = new Set<{ client: Socket; upstream: Socket }>();
  let state: 'open' | 'cut' | 'stalled' = 'open';

  const server = createServer((client) => {
    client.on('error', () => {});
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const upstream = connect(Number(target.port || 5432), target.hostname);
    const pair = { client, upstream };
    pairs.add(pair);
    upstream.on('error', () => client.destroy());
    client.on('close', () => {
      upstream.destroy();
      pairs.delete(pair);
    });
    upstream.on('close', () => client.destroy());
    if (state === 'stalled') return;
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const breakAll = () => {
    for (const { client, upstream } of pairs) {
      client.destroy();
      upstream.destroy();
    }
  };

  return {
    port,
    through(url) {
      const led = new URL(url);
      led.hostname = '127.0.0.1';
      led.port = String(port);
      return led.href;
    },
    cut() {
      state = 'cut';
      breakAll();
    },
    stall() {
      state = 'stalled';
      for (const { client, upstream } of pairs) {
        client.unpipe(upstream).pause();
        upstream.unpipe(client).pause();
      }
    },
    restore() {
      state = 'open';
    },
    resume() {
      const wasStalled = state === 'stalled';
      state = 'open';
      if (!wasStalled) return;
      for (const { client, upstream } of pairs) {
        client.pipe(upstream);
        upstream.pipe(client);
      }
    },
    close() {
      breakAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
