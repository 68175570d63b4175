import type { Audit } from '../audit/audit.ts';
import type { ServiceCaller } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { type RateLimit, rateLimitText } from '../rate-limits/rate-limit.ts';
import { ensureOrganization } from './organizations.ts';
import { findRateLimit, storeRateLimit } from './rate-limit-store.ts';

interface Dependencies {
  database: Database;
  audit: Audit;
  changes: Changes;
}

/** The rate limit that each key of an organisation has which has none of its own. */
export class DefaultRateLimits {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** null: none, as for an organisation that is not known. */
  get(_caller: ServiceCaller, clerkOrgId: string): Promise<RateLimit | null> {
    return this.#dependencies.database.query((queries) => findRateLimit(queries, clerkOrgId));
  }

  /**
   * Also for one that is not known here, for keys that it may get. The same again writes nothing.
   *
   * @throws ServiceError `organization_deleted`
   */
  async set(caller: ServiceCaller, clerkOrgId: string, rateLimit: RateLimit | null): Promise<void> {
    const { audit, changes } = this.#dependencies;
    const organizationId = await audit.change(caller, async (queries) => {
      const id = await ensureOrganization(queries, clerkOrgId);
      if (!(await storeRateLimit(queries, id, rateLimit))) return { result: id, events: [] };
      const action = 'organization.rate_limit_set' as const;
      const target = { type: 'organization' as const, id };
      const details = { rateLimit: rateLimitText(rateLimit) };
      return { result: id, events: [{ organizationId: id, action, target, details }] };
    });
    changes.announce({ kind: 'organization-changed', organizationId });
  }
}
