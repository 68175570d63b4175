import type { Audit } from '../audit/audit.ts';
import type { AuditAction, AuditEntry } from '../audit/event.ts';
import type { Caller } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import { ensureOrganization, livingOrganization } from './organizations.ts';
import { markResumed, markSuspended } from './suspension-store.ts';

/** Refuses an organisation's API keys until further notice, all of them by one row, and changes none. */
export class Suspensions {
  readonly #audit: Audit;
  readonly #changes: Changes;

  constructor(audit: Audit, changes: Changes) {
    this.#audit = audit;
    this.#changes = changes;
  }

  /**
   * Also one that is not known here, for keys that it may get. Again: no change.
   *
   * @returns since when
   * @throws ServiceError `organization_deleted`
   */
  async suspend(caller: Caller, clerkOrgId: string): Promise<Date> {
    const { id, since } = await this.#audit.change(caller, async (queries) => {
      const id = await ensureOrganization(queries, clerkOrgId);
      const { since, changed } = await markSuspended(queries, id);
      return { result: { id, since }, events: changed ? [eventOf(id, 'organization.suspended')] : [] };
    });
    this.#changes.announce({ kind: 'organization-changed', organizationId: id });
    return since;
  }

  /** Of one that is not suspended: no change. @throws ServiceError `organization_deleted` */
  async resume(caller: Caller, clerkOrgId: string): Promise<void> {
    const id = await this.#audit.change(caller, async (queries) => {
      const id = await livingOrganization(queries, clerkOrgId);
      const changed = id !== undefined && (await markResumed(queries, id));
      return { result: id, events: changed ? [eventOf(id, 'organization.resumed')] : [] };
    });
    if (id !== undefined) this.#changes.announce({ kind: 'organization-changed', organizationId: id });
  }
}

function eventOf(id: string, action: AuditAction): AuditEntry {
  return { organizationId: id, action, target: { type: 'organization', id } };
}
