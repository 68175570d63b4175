import { Failure } from '../failure.ts';
import { say } from '../terminal.ts';
import { createMask } from './mask.ts';

export interface DemoRequest {
  method?: 'GET' | 'POST' | 'DELETE';
  path: string;
  /** `X-Service-Key` of a service, or the bearer token of a client. */
  serviceKey?: string;
  apiKey?: string;
  body?: Record<string, unknown>;
}

export interface DemoAnswer {
  status: number;
  body: Record<string, unknown>;
  /** The body as it was sent. */
  text: string;
}

/** Sends requests and shows them with their answers; of any secret no more than its first characters. */
export class DemoClient {
  readonly mask = createMask();
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async send(request: DemoRequest): Promise<DemoAnswer> {
    const { method = 'GET', path, body } = request;
    const headers = this.#headers(request);
    this.mask.learn(request.serviceKey, request.apiKey, body?.['apiKey']);
    const payload = body && JSON.stringify(body);

    this.#show(`  ${method} ${path}`);
    for (const [name, value] of Object.entries(headers)) this.#show(`  ${name}: ${value}`);
    if (payload) this.#show(`  ${payload}`);

    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(15_000),
      ...(payload && { body: payload }),
    }).catch((error: unknown) => {
      throw new Failure(`No answer from ${this.#url}.`, { cause: error });
    });
    const text = await response.text();
    const answer = { status: response.status, body: parseObject(text), text };
    this.mask.learn(answer.body['key']);

    this.#show(`  → ${response.status} ${response.statusText}`);
    this.#show(`  ${text}`);
    return answer;
  }

  #headers({ serviceKey, apiKey, body }: DemoRequest): Record<string, string> {
    return {
      ...(serviceKey !== undefined && { 'X-Service-Key': serviceKey }),
      ...(apiKey !== undefined && { Authorization: `Bearer ${apiKey}` }),
      ...(body && { 'Content-Type': 'application/json' }),
    };
  }

  #show(line: string): void {
    say(this.mask.apply(line));
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // Told below, like any other answer that is not what it should be.
  }
  throw new Failure('The answer is not a JSON object.');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
