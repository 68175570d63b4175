import type { LookupAddress } from 'node:dns';
import * as http from 'node:http';
import * as https from 'node:https';
import type { LookupFunction } from 'node:net';
import type { ProviderAnswer } from './answers.ts';
import { Unanswered } from './unanswered.ts';

/** More than any answer whose body decides. */
const LONGEST_BODY_BYTES = 64 * 1024;

// Agents of our own: no connection is kept, none goes through a proxy that the environment names, and no session is
// resumed. NODE_TLS_REJECT_UNAUTHORIZED changes nothing; an authority of the operator's own is NODE_EXTRA_CA_CERTS.
const httpAgent = new http.Agent({ keepAlive: false });
const httpsAgent = new https.Agent({ keepAlive: false, rejectUnauthorized: true, maxCachedSessions: 0 });

export interface ProviderRequest {
  method: 'GET' | 'POST';
  url: URL;
  headers: Record<string, string>;
  body: string | null;
  /** Connected to as they are: nothing is resolved again, so that no other answer of a name server counts. */
  addresses: readonly LookupAddress[];
  /** Ends it, whatever it is waiting for. */
  signal: AbortSignal;
  isBodyNeeded: (status: number) => boolean;
}

/** Sends one request and reads its answer. A redirect is an answer like any other. @throws Unanswered `connection` */
export function ask({ url, addresses, body, isBodyNeeded, ...options }: ProviderRequest): Promise<ProviderAnswer> {
  const isPlain = url.protocol === 'http:';
  return new Promise((resolve, reject) => {
    const failed = () => reject(new Unanswered('connection'));
    const request = (isPlain ? http : https).request(url, {
      ...options,
      agent: isPlain ? httpAgent : httpsAgent,
      lookup: alwaysTo(addresses),
    });
    request.on('error', failed);
    // Nobody asked for another protocol; Node would close the connection and say nothing.
    request.once('upgrade', (_response, socket) => {
      socket.destroy();
      failed();
    });
    request.once('response', (response) => {
      response.on('error', failed);
      readAnswer(response, isBodyNeeded)
        .then(resolve, failed)
        .finally(() => request.destroy());
    });
    request.end(body ?? undefined);
  });
}

async function readAnswer(
  response: http.IncomingMessage,
  isBodyNeeded: (status: number) => boolean,
): Promise<ProviderAnswer> {
  const status = response.statusCode ?? 0;
  return { status, json: isBodyNeeded(status) ? await readJson(response) : undefined };
}

async function readJson(response: AsyncIterable<Buffer>): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > LONGEST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

function alwaysTo(addresses: readonly LookupAddress[]): LookupFunction {
  return (_hostname, { all }, callback) => {
    const [first] = addresses;
    if (all) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family ?? 0);
  };
}
