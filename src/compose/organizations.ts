import { countApiKeys, revokeApiKeys } from '../api-keys/ending-store.ts';
import type { Audit } from '../audit/audit.ts';
import type { Clerk } from '../clerk/clerk.ts';
import { type EventHandlers, webhookEndpoints } from '../clerk/endpoints.ts';
import type { Config } from '../config/config.ts';
import { destroyDataKeys } from '../data-keys/ending-store.ts';
import { CHANGES_CHANNEL, membershipChange } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import { notifyThrough } from '../database/change-feed/notify.ts';
import type { Database } from '../database/database.ts';
import type { Endpoint, ServiceAuthentication } from '../http/endpoint.ts';
import { describeError } from '../observability/describe-error.ts';
import type { Logger } from '../observability/logger.ts';
import { DefaultRateLimits } from '../organizations/default-rate-limits.ts';
import { EndingSweep } from '../organizations/ending-sweep.ts';
import { OrganizationEndings } from '../organizations/endings.ts';
import { organizationEndpoints } from '../organizations/endpoints.ts';
import { defaultRateLimitEndpoints } from '../organizations/rate-limit-endpoints.ts';
import { suspensionEndpoints } from '../organizations/suspension-endpoints.ts';
import { Suspensions } from '../organizations/suspensions.ts';
import { destroyProviderKeys, hideProviderKeys, showProviderKeys } from '../provider-keys/ending-store.ts';
import { revealFreezeEndpoints } from '../reveal-freezes/endpoints.ts';
import { RevealFreezes } from '../reveal-freezes/reveal-freezes.ts';

export interface ComposedOrganizations {
  /** What services ask, and what Clerk tells. */
  endpoints: Endpoint[];
  endingSweep: EndingSweep;
}

interface Joined {
  config: Config;
  database: Database;
  audit: Audit;
  changes: Changes;
  clerk: Clerk;
  service: ServiceAuthentication;
  /** null: Clerk sends no webhooks here. */
  webhookSecret: string | null;
  logger: Logger;
}

/** What is done to an organisation as a whole; its end is joined with all that ends with it. */
export function composeOrganizations(joined: Joined): ComposedOrganizations {
  const { database, audit, changes, clerk, service, webhookSecret } = joined;
  const endings = endingsOf(joined);
  changes.subscribe((change) => {
    if (change.kind === 'membership-changed') clerk.refreshMembership(change.clerkOrgId);
  });
  return {
    endpoints: [
      ...organizationEndpoints(endings, service),
      ...revealFreezeEndpoints(new RevealFreezes(audit, changes), service),
      ...defaultRateLimitEndpoints(new DefaultRateLimits({ database, audit, changes }), service),
      ...suspensionEndpoints(new Suspensions(audit, changes), service),
      ...(webhookSecret === null ? [] : webhookEndpoints(webhookSecret, eventHandlers(endings, joined))),
    ],
    endingSweep: endingSweepOf(endings, joined),
  };
}

function endingsOf({ config, database, audit, changes }: Joined): OrganizationEndings {
  return new OrganizationEndings({
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
}

function endingSweepOf(endings: OrganizationEndings, { database, clerk, logger }: Joined): EndingSweep {
  return new EndingSweep({
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
}

/** What is done about the events that Clerk tells of. */
function eventHandlers(endings: OrganizationEndings, { database, changes, clerk }: Joined): EventHandlers {
  const notify = notifyThrough(database);
  return {
    deleted: (caller, clerkOrgId) => endings.end(caller, clerkOrgId),
    lives: (caller, clerkOrgId) => endings.reconsider(caller, clerkOrgId),
    async 'members changed'(_caller, clerkOrgId) {
      await notify(CHANGES_CHANNEL, membershipChange(clerkOrgId));
      // Every replica learns of it from the change feed, this one too; where there is none, nobody else can be told.
      if (!changes.holdsLease) clerk.refreshMembership(clerkOrgId);
    },
  };
}
