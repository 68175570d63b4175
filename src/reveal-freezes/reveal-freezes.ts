import type { Audit } from '../audit/audit.ts';
import type { AuditAction, AuditEntry } from '../audit/event.ts';
import type { Caller } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import { ensureOrganization, livingOrganization } from '../organizations/organizations.ts';
import { EVERYWHERE, markFrozen, markUnfrozen } from './freeze-store.ts';

/**
 * Freezes reveals for an organisation, or, with null, everywhere. The two know nothing of each other: an organisation is
 * frozen for as long as either is. Once a freeze is answered this replica hands out nothing more; the others refuse when the
 * database has told them, within milliseconds, and after the length of the lease whatever happens.
 */
export class RevealFreezes {
  readonly #audit: Audit;
  readonly #changes: Changes;

  constructor(audit: Audit, changes: Changes) {
    this.#audit = audit;
    this.#changes = changes;
  }

  /**
   * Also of an organisation that is not known here, for keys that it may get. Again: no change.
   *
   * @returns since when
   * @throws ServiceError `organization_deleted`
   */
  async freeze(caller: Caller, clerkOrgId: string | null): Promise<Date> {
    const since = await this.#audit.change(caller, async (queries) => {
      const organizationId = clerkOrgId === null ? null : await ensureOrganization(queries, clerkOrgId);
      const { since, changed } = await markFrozen(queries, organizationId ?? EVERYWHERE);
      return { result: since, events: changed ? [eventOf(organizationId, 'reveals.frozen')] : [] };
    });
    this.#changes.announce({ kind: 'reveal-freezes-changed' });
    return since;
  }

  /** Where they are not frozen: no change. @throws ServiceError `organization_deleted` */
  async unfreeze(caller: Caller, clerkOrgId: string | null): Promise<void> {
    await this.#audit.change(caller, async (queries) => {
      const organizationId = clerkOrgId === null ? null : await livingOrganization(queries, clerkOrgId);
      const changed = organizationId !== undefined && (await markUnfrozen(queries, organizationId ?? EVERYWHERE));
      return { result: undefined, events: changed ? [eventOf(organizationId, 'reveals.unfrozen')] : [] };
    });
    this.#changes.announce({ kind: 'reveal-freezes-changed' });
  }
}

function eventOf(organizationId: string | null, action: AuditAction): AuditEntry {
  return { organizationId, action, target: { type: 'organization', id: organizationId } };
}
