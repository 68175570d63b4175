import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface SentryStandIn {
  /** A DSN that leads here. */
  dsn: string;
  /** Every envelope so far, as it came: headers of the request, and all of its text. */
  envelopes: { headers: string; text: string }[];
  /** The events among what came. */
  events(): Record<string, unknown>[];
  close(): Promise<void>;
}

/** Sentry's intake on loopback, for the real SDK to report to. */
export async function startSentryStandIn(): Promise<SentryStandIn> {
  const envelopes: SentryStandIn['envelopes'] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString('utf8');
    envelopes.push({ headers: JSON.stringify(request.headers), text });
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    dsn: `http://fakepublickey@127.0.0.1:${(server.address() as AddressInfo).port}/1`,
    envelopes,
    events: () => envelopes.flatMap(({ text }) => eventsIn(text)),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An envelope is lines of JSON: its header, then a header and a payload for each item. */
function eventsIn(envelope: string): Record<string, unknown>[] {
  const lines = envelope.split('\n').filter((line) => line !== '');
  const events: Record<string, unknown>[] = [];
  for (let index = 1; index + 1 < lines.length; index += 2) {
    const { type } = JSON.parse(lines[index] ?? '{}') as { type?: string };
    if (type === 'event') events.push(JSON.parse(lines[index + 1] ?? '{}') as Record<string, unknown>);
  }
  return events;
}
