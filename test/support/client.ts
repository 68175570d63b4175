import { randomUUID } from 'node:crypto';
/** Obviously nobody's. */
export const SERVICE_KEY = 'test-service-key-not-a-real-one';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // A test says what it expects of a body; a type here would only repeat the implementation's belief.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  body: any;
}

interface Call {
  body?: unknown;
  headers?: Record<string, string>;
}

/** How tests speak to the service: over HTTP, like everyone. */
export interface Client {
  /** With exactly these headers. */
  request(method: string, path: string, call?: Call): Promise<Answer>;
  /** With the service key. */
  asService(method: string, path: string, body?: unknown): Promise<Answer>;
  /** With an API key. */
  asHolder(key: string, path: string): Promise<Answer>;
  issueKey(clerkOrgId: string, settings?: Record<string, unknown>): Promise<{ id: string; key: string }>;
  saveProviderKey(clerkOrgId: string, provider: string, apiKey: string): Promise<Answer>;
}

export function clientOf(url: string): Client {
  const request: Client['request'] = async (method, path, { body, headers = {} } = {}) => {
    const isText = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      ...(body === undefined
        ? {}
        : { body: isText ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') && text !== '';
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  };
  const asService: Client['asService'] = (method, path, body) =>
    request(method, path, { body, headers: { 'X-Service-Key': SERVICE_KEY } });
  return {
    request,
    asService,
    asHolder: (key, path) => request('GET', path, { headers: { Authorization: `Bearer ${key}` } }),
    async issueKey(clerkOrgId, settings = {}) {
      const { status, body } = await asService('POST', '/internal/api-keys', { clerkOrgId, ...settings });
      if (status !== 201) throw new Error(`Issuing a key answered ${status}`);
      return body;
    },
    saveProviderKey: (clerkOrgId, provider, apiKey) =>
      asService('POST', '/internal/keys', { clerkOrgId, provider, apiKey }),
  };
}

/** An organisation that no other test knows. */
export function newOrganization(): string {
  return `org_test_${randomUUID().replaceAll('-', '')}`;
}
