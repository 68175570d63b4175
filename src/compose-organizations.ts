import { countApiKeys, revokeApiKeys } from './api-keys/ending-store.ts';
import type { Audit } from './audit/audit.ts';
import type { Clerk } from './clerk/clerk.ts';
import type { EventHandlers } from './clerk/endpoints.ts';
import type { Config } from './config.ts';
import { destroyDataKeys } from './data-keys/ending-store.ts';
import { CHANGES_CHANNEL, membershipChange } from './database/change-feed/change.ts';
import type { Changes } from './database/change-feed/change-feed.ts';
import { notifyThrough } from './database/change-feed/notify.ts';
import type { Database } from './database/database.ts';
import { describeError } from './observability/describe-error.ts';
import type { Logger } from './observability/logger.ts';
import { EndingSweep } from './organizations/ending-sweep.ts';
import { OrganizationEndings } from './organizations/endings.ts';
import { destroyProviderKeys, hideProviderKeys, showProviderKeys } from './provider-keys/ending-store.ts';

export interface ComposedOrganizations {
  endings: OrganizationEndings;
  endingSweep: EndingSweep;
  /** What is done about the events that Clerk tells of. */
  onClerkEvent: EventHandlers;
}

/** How organisations end, joined with all that ends with them. */
export function composeOrganizations({
  config,
  database,
  audit,
  changes,
  clerk,
  logger,
}: {
  config: Config;
  database: Database;
  audit: Audit;
  changes: Changes;
  clerk: Clerk;
  logger: Logger;
}): ComposedOrganizations {
  const endings = new OrganizationEndings({
    database,
    audit,
    changes,
    graceDays: config.organizations.graceDays,
    belongings: {
      revokeApiKeys,
      countApiKeys,
      hideProviderKeys,
      showProviderKeys,
      destroyProviderKeys,
      destroyDataKeys,
    },
  });
  const endingSweep = new EndingSweep({
    database,
    endings,
    knownToClerk: clerk.known,
    onOutcome(outcome, organizationId) {
      if (outcome === 'destroyed')
        logger.info({ organizationId }, 'the secrets of a deleted organisation are destroyed');
      else if (outcome === 'restored') {
        logger.warn({ organizationId }, 'Clerk knows an organisation that it had called deleted: it lives again');
      } else
        logger.warn({ organizationId }, 'Clerk could not say whether an organisation is deleted: its secrets are kept');
    },
    onFailure: (error) =>
      logger.warn({ error: describeError(error) }, 'ended organisations could not be looked after; it is tried again'),
  });

  const notify = notifyThrough(database);
  changes.subscribe((change) => {
    if (change.kind === 'membership-changed') clerk.refreshMembership(change.clerkOrgId);
  });
  return {
    endings,
    endingSweep,
    onClerkEvent: {
      deleted: (caller, clerkOrgId) => endings.end(caller, clerkOrgId),
      lives: (caller, clerkOrgId) => endings.reconsider(caller, clerkOrgId),
      async 'members changed'(_caller, clerkOrgId) {
        await notify(CHANGES_CHANNEL, membershipChange(clerkOrgId));
        // Every replica learns of it from the change feed, this one too; where there is none, nobody else can be told.
        if (!changes.holdsLease) clerk.refreshMembership(clerkOrgId);
      },
    },
  };
}
