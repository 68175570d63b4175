import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { type MembershipLookup, membershipDisabled } from '../organizations/membership.ts';
import { clerkClient, type KnownQuery } from './clerk-client.ts';
import { cachedMembership } from './membership-cache.ts';

/** Clerk, as the rest of the service knows it. */
export interface Clerk {
  membership: MembershipLookup;
  /** The members of an organisation have changed: what was known of them is asked for again, if anything was. */
  refreshMembership: (clerkOrgId: string) => void;
  /** null: there is no Clerk to ask. */
  known: KnownQuery | null;
  /** As readiness shows it. */
  state: () => 'ok' | 'unavailable' | 'disabled';
  close: () => void;
}

interface Options {
  /** null: no Clerk; membership is `disabled`. */
  secretKey: string | null;
  apiUrl: string | null;
  timeoutMs: number;
  staleMaxMs: number;
  logger: Logger;
  metrics: Metrics;
}

export function connectClerk({ secretKey, apiUrl, timeoutMs, staleMaxMs, logger, metrics }: Options): Clerk {
  if (secretKey === null) {
    logger.warn('CLERK_SECRET_KEY is not set: membership is disabled');
    return {
      membership: membershipDisabled,
      refreshMembership: () => {},
      known: null,
      state: () => 'disabled',
      close: () => {},
    };
  }
  if (apiUrl?.startsWith('http://')) logger.warn('CLERK_API_URL is plain http: the secret key travels unencrypted');
  let failing = false;
  const { soleMember, known, close } = clerkClient({
    secretKey,
    apiUrl,
    timeoutMs,
    onAnswer(outcome) {
      failing = outcome !== 'answered';
      metrics.clerkCalls.inc({ outcome });
    },
    onBreaker(state, status) {
      metrics.clerkBreakerOpen.set(state === 'open' ? 1 : 0);
      if (state === 'open')
        logger.warn({ status }, 'Clerk is failing and left alone for a while; membership is stale or unavailable');
      else logger.info('Clerk answers again');
    },
  });
  const cache = cachedMembership({ query: soleMember, staleMaxMs });
  return {
    membership: cache.lookup,
    refreshMembership: cache.refresh,
    known,
    state: () => (failing ? 'unavailable' : 'ok'),
    close,
  };
}
