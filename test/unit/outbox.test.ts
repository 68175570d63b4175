import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { endTogether } from '../../src/http/outbox.ts';
import { sendRaw } from '../support/raw-http.ts';

let server: Server;
afterEach(() => new Promise((resolve) => server.close(resolve)));

/** Sends so many requests in one packet, and tells of each how many answers had been ended when it was handled. */
async function endedBefore(count: number): Promise<{ ended: number[]; text: string }> {
  const responses: ServerResponse[] = [];
  const ended: number[] = [];
  server = createServer((_request, response) => {
    ended.push(responses.filter(({ writableEnded }) => writableEnded).length);
    responses.push(response);
    const text = `<${responses.length}>`;
    response.writeHead(200, ['Content-Length', String(text.length)]);
    endTogether(response, text, 'latin1');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const head = 'GET / HTTP/1.1\r\nHost: a\r\n';
  const requests = `${`${head}\r\n`.repeat(count - 1)}${head}Connection: close\r\n\r\n`;
  const answer = await sendRaw((server.address() as AddressInfo).port, requests);
  return { ended, text: answer.text + answer.rest };
}

describe('Answers to requests that have arrived together', () => {
  it('are ended when the last of them has been handled', async () => {
    const { ended, text } = await endedBefore(32);
    expect(ended).toEqual(Array.from({ length: 32 }, () => 0));
    expect(text.match(/<\d+>/g)).toEqual(Array.from({ length: 32 }, (_, index) => `<${index + 1}>`));
  });

  it('wait for no more than 31 others', async () => {
    const { ended, text } = await endedBefore(80);
    expect(ended.map((count) => Math.floor(count / 32) * 32)).toEqual(ended);
    expect([ended[31], ended[32], ended[63], ended[64]]).toEqual([0, 32, 32, 64]);
    expect(text.match(/<\d+>/g)).toHaveLength(80);
  });

  it('are ended for the one that comes alone, and for the next after that', async () => {
    expect((await endedBefore(1)).text).toBe('<1>');
    await new Promise((resolve) => server.close(resolve));
    expect((await endedBefore(1)).text).toBe('<1>');
  });

  it('are ended although one of their connections has gone', async () => {
    const gone: Promise<void>[] = [];
    server = createServer((request, response) => {
      response.writeHead(200, ['Content-Length', '2']);
      if (request.url === '/gone') {
        request.socket.destroy();
        gone.push(new Promise((resolve) => response.once('close', resolve)));
      }
      endTogether(response, 'ok', 'latin1');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const get = (path: string) => sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const [, ...kept] = await Promise.allSettled([get('/gone'), get('/'), get('/')]);
    expect(kept.map((answer) => answer.status === 'fulfilled' && answer.value.text)).toEqual(['ok', 'ok']);
    await Promise.all(gone);
    expect(gone).toHaveLength(1);
  });

  it('are ended although one of them cannot be', async () => {
    server = createServer((request, response) => {
      response.writeHead(200, ['Content-Length', '2']);
      if (request.url === '/broken') {
        response.end = () => {
          throw new Error('no');
        };
      }
      endTogether(response, 'ok', 'latin1');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const get = (path: string) => sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const [broken, ...kept] = await Promise.allSettled([get('/broken'), get('/'), get('/')]);
    expect(broken.status === 'fulfilled' && broken.value.text).not.toBe('ok');
    expect(kept.map((answer) => answer.status === 'fulfilled' && answer.value.text)).toEqual(['ok', 'ok']);
  });
});
