import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SERVICE_KEY } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** Sends the start of a request and nothing more; tells what the service says in the end, and after how long. */
function stalledAfter(start: string): Promise<{ answer: string; tookMs: number }> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(service.port, '127.0.0.1', () => socket.write(start));
    socket.setEncoding('utf8').on('data', (text) => {
      answer += text;
    });
    socket.on('error', reject);
    socket.on('end', () => resolve({ answer, tookMs: performance.now() - began }));
  });
}

/** The limits are looked at once a second; the rest is room for a busy machine. */
const SLACK_MS = 4_000;

describe('A request that does not arrive', { timeout: 60_000 }, () => {
  it.concurrent('is answered 408 ten seconds after its start when its headers are incomplete', async () => {
    const { answer, tookMs } = await stalledAfter('GET /health HTTP/1.1\r\nHost: a\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"request_timeout"');
    expect(tookMs).toBeGreaterThanOrEqual(10_000);
    expect(tookMs).toBeLessThan(10_000 + SLACK_MS);
  });

  it.concurrent('is answered 408 after thirty when its body is, under its own request id', async () => {
    const head = ['POST /internal/api-keys HTTP/1.1', 'Host: a', 'X-Request-Id: the-slow-one'];
    const start = [...head, `X-Service-Key: ${SERVICE_KEY}`, 'Content-Type: application/json', 'Content-Length: 100'];
    const { answer, tookMs } = await stalledAfter(`${start.join('\r\n')}\r\n\r\n{`);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"requestId":"the-slow-one"');
    expect(tookMs).toBeGreaterThanOrEqual(30_000);
    expect(tookMs).toBeLessThan(30_000 + SLACK_MS);
    const lines = () => service.logLines.filter((line) => line['requestId'] === 'the-slow-one');
    await vi.waitFor(() => expect(lines()).not.toEqual([]));
    expect(lines()).toEqual([expect.objectContaining({ status: 408, route: '/internal/api-keys' })]);
  });
});
