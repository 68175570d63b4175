import { connect } from 'node:net';
import type { Answer } from './client.ts';

/** The first answer on a connection, and whatever came after it. */
export interface RawAnswer extends Answer {
  rest: string;
}

/**
 * Sends bytes as they are and reads until the service closes the connection: for what `fetch` would never send. An
 * answer that is no HTTP has the status NaN.
 */
export function sendRaw(port: number, request: string | Uint8Array): Promise<RawAnswer> {
  return new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.setTimeout(5_000, () => socket.destroy(new Error('The service neither answered nor closed the connection')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('end', () => resolve(Buffer.concat(chunks)));
  }).then(parse);
}

/** A request line and headers as HTTP/1.1 writes them, with what every proper request has. */
export function requestHead(requestLine: string, ...headers: string[]): string {
  return [`${requestLine} HTTP/1.1`, 'Host: key-service.test', ...headers, 'Connection: close', '', ''].join('\r\n');
}

function parse(bytes: Buffer): RawAnswer {
  const headEnd = bytes.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, Math.max(headEnd, 0)).split('\r\n');
  const headers = new Headers();
  for (const line of lines) headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim());
  const bodyStart = headEnd + 4;
  const bodyEnd = bodyStart + Number(headers.get('content-length') ?? bytes.length);
  const text = bytes.toString('utf8', bodyStart, bodyEnd);
  const isJson = headers.get('content-type')?.includes('json') && text !== '';
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
    rest: bytes.toString('utf8', bodyEnd),
  };
}
