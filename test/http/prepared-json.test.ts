import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createApp } from '../../src/http/app.ts';
import { type Endpoint, endpoint, everyone } from '../../src/http/endpoint.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { PreparedJson } from '../../src/prepared-json.ts';

const body = { id: 'a', name: 'Zoë 🗝' };
const schema = z.object({ id: z.string(), name: z.string() });

function answering(prepared: PreparedJson<z.input<typeof schema>>): Endpoint {
  const reply = { status: 200 as const, body: prepared };
  return endpoint({
    method: 'get',
    path: '/prepared',
    tag: 'Test',
    summary: 'Answers with a body that it has kept',
    authentication: everyone,
    request: {},
    responses: { 200: { description: 'It.', schema } },
    handle: () => reply,
  });
}

let close = () => {};
afterEach(() => close());

async function serve(endpoint: Endpoint, checkResponses: boolean): Promise<() => Promise<Response>> {
  const errorDocsUrl = 'https://key-service.example/errors';
  const observer = { started() {}, ended() {} };
  const isDraining = () => false;
  const app = createApp({
    endpoints: [endpoint],
    checkResponses,
    docsEnabled: false,
    errorDocsUrl,
    trustProxy: null,
    observer,
    isDraining,
  });
  const server = createHttpServer(app, { errorDocsUrl, onRefused: () => {}, expressPrototypes: 'at-birth' });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  close = () => server.close();
  const { port } = server.address() as AddressInfo;
  return () => fetch(`http://127.0.0.1:${port}/prepared`);
}

describe('PreparedJson', () => {
  it('is the text of a body, and its length in bytes', () => {
    const { text, bytes } = new PreparedJson(body);
    expect(JSON.parse(text)).toEqual(body);
    expect(bytes).toBe(Buffer.from(text).length);
    expect(bytes).toBeGreaterThan(text.length);
  });
});

describe('An answer whose body is prepared', () => {
  it.each([true, false])(
    'is the answer that the body itself would be, again and again (checked: %s)',
    async (checked) => {
      const get = await serve(answering(new PreparedJson(body)), checked);
      for (let time = 0; time < 3; time += 1) {
        const response = await get();
        expect(response.status).toBe(200);
        expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
        expect(response.headers.get('cache-control')).toBe('no-store');
        expect(await response.json()).toEqual(body);
      }
    },
  );

  it.each(['plain', 'Zoë', '🗝'])('is UTF-8, whatever is in it: %s', async (name) => {
    const get = await serve(answering(new PreparedJson({ id: 'a', name })), true);
    expect(await (await get()).json()).toEqual({ id: 'a', name });
  });

  it('is held to its schema outside production like any other', async () => {
    const more = { ...body, hash: 'not-for-anyone' };
    const response = await (await serve(answering(new PreparedJson(more)), true))();
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('not-for-anyone');
  });

  it('has to fit the type of its schema', () => {
    // @ts-expect-error: a name is missing
    answering(new PreparedJson({ id: 'a' }));
  });
});
