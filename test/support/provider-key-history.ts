import type { Answer } from './client.ts';
import type { TestService } from './service.ts';

/** How tests speak about one key of a provider: an organisation's, or the platform's. */
export interface ProviderKeyHistory {
  save(apiKey: string, settings?: { check?: unknown }): Promise<Answer>;
  versions(): Promise<Answer>;
  rollback(version: number): Promise<Answer>;
  check(): Promise<Answer>;
  report(version: number, outcome: string, settings?: { source?: unknown }): Promise<Answer>;
  remove(): Promise<Answer>;
  reveal(): Promise<Answer>;
  /** As the list of its owner's keys shows it. */
  listed(): Promise<Record<string, unknown>>;
  /** The versions that the database holds a sealed secret of, and the secrets themselves. */
  sealed(): Promise<{ version: number; sealed: Buffer }[]>;
}

/** @param org null for the platform's own key */
export function providerKeyHistory(service: TestService, org: string | null, provider = 'openai'): ProviderKeyHistory {
  const keys = org === null ? '/internal/platform-keys' : '/internal/keys';
  const path = `${keys}/${provider}`;
  const query = org === null ? '' : `?clerkOrgId=${org}`;
  const owner = org === null ? {} : { clerkOrgId: org };
  const post = (to: string, body: Record<string, unknown>) => service.asService('POST', to, { ...owner, ...body });
  return {
    save: (apiKey, settings = {}) => post(keys, { provider, apiKey, ...settings }),
    versions: () => service.asService('GET', `${path}/versions${query}`),
    rollback: (version) => post(`${path}/rollback`, { version }),
    check: () => post(`${path}/check`, {}),
    report: (version, outcome, settings = {}) => post(`${path}/report`, { version, outcome, ...settings }),
    remove: () => service.asService('DELETE', `${path}${query}`),
    reveal: () => service.asService('GET', `${path}/decrypt${query}`),
    async listed() {
      const { body } = await service.asService('GET', `${keys}${query}`);
      return body.keys.find((key: { provider: string }) => key.provider === provider) ?? {};
    },
    sealed: () =>
      service.sql<{ version: number; sealed: Buffer }>(
        `select v.version, v.sealed from key_service.provider_key_versions v
         join key_service.provider_keys k on k.id = v.provider_key_id
         left join key_service.organizations o on o.id = k.organization_id
         where o.clerk_org_id is not distinct from $1::text and k.provider = $2 order by v.version`,
        [org, provider],
      ),
  };
}

/** From one number to another, both included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
