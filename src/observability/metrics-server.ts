import { createServer, type Server } from 'node:http';

/** What is served: a registry of prom-client, or several made one. */
export interface MetricsSource {
  contentType: string;
  metrics(): Promise<string>;
}

/** Serves `/metrics` on a port of its own, which no customer reaches. */
export function metricsServer(source: MetricsSource): Server {
  return createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'Cache-Control': 'no-store' }).end();
      return;
    }
    source.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': source.contentType, 'Cache-Control': 'no-store' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
}
