import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface ProviderStandIn {
  port: number;
  /** Every request so far, with its body; `url` as it came over the wire. */
  requests: { method: string; url: string; headers: IncomingHttpHeaders; body: string }[];
  /** Connections so far, those without a request too. */
  connections: number;
  /** How it answers from now on. */
  answer: (response: ServerResponse) => void;
  close(): Promise<void>;
}

export interface Certificate {
  cert: string;
  key: string;
}

/** Any provider, on loopback. */
export async function startProviderStandIn(certificate?: Certificate, host = '127.0.0.1'): Promise<ProviderStandIn> {
  const listener: RequestListener = async (request, response) => {
    const { method = '', url = '', headers } = request;
    let body = '';
    for await (const chunk of request) body += String(chunk);
    standIn.requests.push({ method, url, headers, body });
    standIn.answer(response);
  };
  const server = certificate === undefined ? createServer(listener) : createTlsServer(certificate, listener);
  server.on('connection', () => {
    standIn.connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const standIn: ProviderStandIn = {
    port: (server.address() as AddressInfo).port,
    requests: [],
    connections: 0,
    answer: (response) => answerJson(response, 200, {}),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return standIn;
}

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
