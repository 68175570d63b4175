import type { Answer, Client } from './client.ts';

type Asked = Record<string, string>;

/** What is told of the use of one key. */
export function usageOfKey(client: Client, clerkOrgId: string, id: string, asked: Asked = {}): Promise<Answer> {
  return client.asService('GET', `/internal/api-keys/${id}/usage?${new URLSearchParams({ clerkOrgId, ...asked })}`);
}

/** What is told of the use of all keys of an organisation. */
export function usageOfOrganization(client: Client, clerkOrgId: string, asked: Asked = {}): Promise<Answer> {
  return client.asService('GET', `/internal/organizations/${clerkOrgId}/usage?${new URLSearchParams(asked)}`);
}
