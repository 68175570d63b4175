import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createApp } from '../../src/http/app.ts';
import { endpoint, everyone } from '../../src/http/endpoint.ts';

/** The row that a careless handler spreads into its answer. */
const row = { id: 'a', hash: 'not-for-anyone' };
const careless = endpoint({
  method: 'get',
  path: '/careless',
  tag: 'Test',
  summary: 'Answers more than it declares',
  authentication: everyone,
  request: {},
  responses: { 200: { description: 'An id.', schema: z.object({ id: z.string() }) } },
  handle: async () => ({ status: 200, body: { ...row } }),
});

async function answerOf(checkResponses: boolean) {
  const observer = { started: () => {}, ended: () => {} };
  const app = createApp({
    endpoints: [careless],
    checkResponses,
    docsEnabled: false,
    errorDocsUrl: 'https://key-service.example/errors',
    trustProxy: null,
    observer,
    isDraining: () => false,
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/careless`);
  const body = await response.json();
  server.close();
  return { status: response.status, body };
}

describe('An answer with a field that its endpoint does not declare', () => {
  it('is an error outside production, so that no test passes on it', async () => {
    const { status, body } = await answerOf(true);
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain(row.hash);
  });

  it('is sent as it is in production: the check changes nothing, it only refuses', async () => {
    expect(await answerOf(false)).toEqual({ status: 200, body: row });
  });
});
