import type { Audit } from '../audit/audit.ts';
import type { ServiceCaller } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { ensureOrganization, livingOrganization } from '../organizations/organizations.ts';
import { findSource, removeSource, type StoredSource, storeSource } from './source-store.ts';

/**
 * Where services get an organisation's key of a provider from.
 * - `own`: the organisation's own key, or none
 * - `platform`: the platform's, or none
 * - `own-then-platform`: the organisation's own, and the platform's when it has none. One that does not open, or that its
 *   provider rejects, is there: to go on with the platform's would be to pay for a fault that nobody sees.
 */
export type KeySource = 'own' | StoredSource;

/** Says for each organisation and provider where its services get the key from; its own, unless they are told otherwise. */
export class KeySources {
  readonly #database: Database;
  readonly #audit: Audit;
  readonly #changes: Changes;

  constructor({ database, audit, changes }: { database: Database; audit: Audit; changes: Changes }) {
    this.#database = database;
    this.#audit = audit;
    this.#changes = changes;
  }

  async get(_caller: ServiceCaller, clerkOrgId: string, provider: string): Promise<KeySource> {
    const source = await this.#database.query((queries) => findSource(queries, clerkOrgId, provider));
    return source ?? 'own';
  }

  /**
   * The same source again writes nothing, and neither does `own` for an organisation that is not known.
   *
   * @throws ServiceError `organization_deleted`
   */
  async set(
    caller: ServiceCaller,
    { clerkOrgId, provider, source }: { clerkOrgId: string; provider: string; source: KeySource },
  ): Promise<void> {
    const changed = await this.#audit.change(caller, async (queries) => {
      const organizationId =
        source === 'own'
          ? await this.#remove(queries, clerkOrgId, provider)
          : await this.#store(queries, clerkOrgId, provider, source);
      if (organizationId === undefined) return { result: undefined, events: [] };
      const target = { type: 'provider-key', id: null } as const;
      const event = {
        organizationId,
        action: 'provider_key.source_set',
        target,
        provider,
        details: { source },
      } as const;
      return { result: organizationId, events: [event] };
    });
    if (changed !== undefined) this.#changes.announce({ kind: 'organization-changed', organizationId: changed });
  }

  async #remove(queries: Queries, clerkOrgId: string, provider: string): Promise<string | undefined> {
    const organizationId = await livingOrganization(queries, clerkOrgId);
    if (organizationId === undefined) return undefined;
    return (await removeSource(queries, { organizationId, provider })) ? organizationId : undefined;
  }

  async #store(
    queries: Queries,
    clerkOrgId: string,
    provider: string,
    source: StoredSource,
  ): Promise<string | undefined> {
    const organizationId = await ensureOrganization(queries, clerkOrgId);
    return (await storeSource(queries, { organizationId, provider, source })) ? organizationId : undefined;
  }
}
