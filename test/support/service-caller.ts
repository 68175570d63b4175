import type { Answer, Client } from './client.ts';

/** A service of the platform that has a key of its own. */
export interface NamedCaller {
  id: string;
  key: string;
  name: string;
  /** Sends a request with its key. */
  as(method: string, path: string, body?: unknown): Promise<Answer>;
}

interface Settings {
  name?: string;
  permissions?: readonly string[];
  revealProviders?: readonly string[] | null;
  expiresAt?: string;
}

export async function newServiceCaller(service: Client, settings: Settings = {}): Promise<NamedCaller> {
  const answer = await service.asService('POST', '/internal/service-keys', { name: 'billing', ...settings });
  if (answer.status !== 201) throw new Error(`Issuing a service key answered ${answer.status}: ${answer.text}`);
  return { ...answer.body, as: callsWith(service, answer.body.key) };
}

/** Requests with this service key. */
export function callsWith(service: Pick<Client, 'request'>, key: string): NamedCaller['as'] {
  return (method, path, body) => service.request(method, path, { body, headers: { 'X-Service-Key': key } });
}
