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
  /** Stalls from the first time that the client says this text. */
  stallAt(text: string): void;
  /** Stalls when the client has said this text for the first time: it arrives, and its answer does not. */
  stallAfter(text: string): void;
  /** Everything takes so much longer, each way, on connections that are open and on new ones. 0: no longer. */
  delay(ms: number): void;
  /** Everything works again; connections that were stalled stay dead. */
  restore(): void;
  /** Everything works again; connections that were stalled go on where they were. */
  resume(): void;
  /** New connections lead to another server; open ones stay where they are. */
  leadTo(url: string): void;
  /** Told of all that clients send. */
  onSent: ((bytes: Buffer) => void) | undefined;
  close(): Promise<void>;
}

interface Pair {
  client: Socket;
  upstream: Socket;
  stalled: boolean;
  /** What came while it was stalled, in order. */
  held: (() => void)[];
}

export async function startTcpProxy(targetUrl: string): Promise<TcpProxy> {
  let target = new URL(targetUrl);
  const pairs = new Set<Pair>();
  let state: 'open' | 'cut' | 'stalled' = 'open';
  let stallText: string | undefined;
  let lastText: string | undefined;
  let delayMs = 0;

  const server = createServer((client) => {
    client.on('error', () => {});
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const upstream = connect(Number(target.port || 5432), target.hostname);
    const pair = { client, upstream, stalled: state === 'stalled', held: [] } satisfies Pair as Pair;
    pairs.add(pair);
    upstream.on('error', () => client.destroy());
    client.on('close', () => {
      upstream.destroy();
      pairs.delete(pair);
    });
    upstream.on('close', () => client.destroy());
    const writeTo = (socket: Socket) => (bytes: Buffer) => {
      const write = () => socket.destroyed || socket.write(bytes);
      if (pair.stalled) pair.held.push(write);
      else write();
    };
    const toUpstream = inOrder(writeTo(upstream));
    const toClient = inOrder(writeTo(client));
    client.on('data', (bytes) => {
      if (stallText !== undefined && bytes.includes(stallText)) stall();
      if (!pair.stalled) proxy.onSent?.(bytes);
      toUpstream(bytes, delayMs);
      if (lastText !== undefined && bytes.includes(lastText)) stall();
    });
    upstream.on('data', (bytes) => toClient(bytes, delayMs));
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
  const stall = () => {
    state = 'stalled';
    for (const pair of pairs) pair.stalled = true;
  };

  const proxy: TcpProxy = {
    port,
    onSent: undefined,
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
    stall,
    stallAt(text) {
      stallText = text;
    },
    stallAfter(text) {
      lastText = text;
    },
    delay(ms) {
      delayMs = ms;
    },
    restore() {
      state = 'open';
      stallText = undefined;
      lastText = undefined;
      delayMs = 0;
    },
    leadTo(url) {
      target = new URL(url);
    },
    resume() {
      state = 'open';
      for (const pair of pairs) {
        pair.stalled = false;
        for (const write of pair.held.splice(0)) write();
      }
    },
    close() {
      breakAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}

/** Passes on what it is given after a delay that may change, and never lets the later overtake the earlier. */
function inOrder(pass: (bytes: Buffer) => void): (bytes: Buffer, delayMs: number) => void {
  const waiting: { bytes: Buffer; dueMs: number }[] = [];
  const passDue = () => {
    while (waiting[0] !== undefined && waiting[0].dueMs <= performance.now()) pass(waiting.shift()?.bytes as Buffer);
    if (waiting[0] !== undefined) setTimeout(passDue, waiting[0].dueMs - performance.now());
  };
  return (bytes, delayMs) => {
    if (delayMs === 0 && waiting.length === 0) return pass(bytes);
    const dueMs = Math.max(performance.now() + delayMs, waiting.at(-1)?.dueMs ?? 0);
    waiting.push({ bytes, dueMs });
    if (waiting.length === 1) setTimeout(passDue, delayMs);
  };
}
