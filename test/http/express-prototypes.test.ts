import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';
import { describe, expect, it } from 'vitest';
import type { ExpressPrototypes } from '../../src/http/express-prototypes.ts';
import { createHttpServer } from '../../src/http/server.ts';

/** One request to an app, with the prototypes that it and its response had before Express saw them, and in a handler. */
async function observe(expressPrototypes: ExpressPrototypes) {
  const app = express();
  const seen: { before: unknown[]; inHandler: unknown[] } = { before: [], inHandler: [] };
  const prototypesOf = (...objects: object[]) => objects.map((object) => Object.getPrototypeOf(object));
  app.post('/', express.json(), (request: Request, response: Response) => {
    seen.inHandler = prototypesOf(request, response);
    response.status(201).json({ type: request.is('json'), body: request.body, sameApp: request.app === app });
  });
  const server = createHttpServer(app, { errorDocsUrl: 'https://a.test', onRefused: () => {}, expressPrototypes });
  server.prependListener('request', (request, response) => {
    seen.before = prototypesOf(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: '{"a":1}' });
  const body = await answer.json();
  server.close();
  return { app, seen, status: answer.status, body };
}

describe('Requests and responses', () => {
  it('keep the prototypes that they are born with, those of the app', async () => {
    const { app, seen } = await observe('at-birth');
    expect(seen.before.map((prototype, index) => prototype === seen.inHandler[index])).toEqual([true, true]);
    expect(seen.inHandler).toEqual([app.request, app.response]);
  });

  it('are given them by Express where a test asks for that', async () => {
    const { app, seen } = await observe('per-request');
    expect(seen.before.map((prototype, index) => prototype === seen.inHandler[index])).toEqual([false, false]);
    expect(seen.inHandler).toEqual([app.request, app.response]);
  });

  it.each(['at-birth', 'per-request'] as const)('have all of Express’s methods: %s', async (prototypes) => {
    const { status, body } = await observe(prototypes);
    expect({ status, body }).toEqual({ status: 201, body: { type: 'json', body: { a: 1 }, sameApp: true } });
  });
});
