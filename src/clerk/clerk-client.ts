import { createClerkClient, type OrganizationMembership } from '@clerk/backend';
import { isClerkAPIResponseError } from '@clerk/backend/errors';
import CircuitBreaker from 'opossum';
import { within } from '../time-limit.ts';

/** Asks Clerk who the only member of an organisation is; null for none, several, or an unknown organisation. */
export type SoleMemberQuery = (clerkOrgId: string) => Promise<string | null>;

/**
 * Asks Clerk whether it knows an organisation. Rejects unless Clerk itself says the one or the other: secrets are destroyed
 * on its word.
 */
export type KnownQuery = (clerkOrgId: string) => Promise<boolean>;

/** `refused`: not asked, because the breaker is open. */
export type ClerkOutcome = 'answered' | 'failed' | 'timeout' | 'refused';

export interface ClerkClientOptions {
  secretKey: string;
  /** null: Clerk's own. */
  apiUrl: string | null;
  timeoutMs: number;
  onAnswer: (outcome: ClerkOutcome) => void;
  /** `status` is Clerk's HTTP status when it answered with one: 401 tells of a wrong secret key, 429 of a limit. */
  onBreaker: (state: 'open' | 'closed', status: number | null) => void;
}

/** How Clerk's ids look; anything else would be another path of its API. */
export const CLERK_ID = /^[A-Za-z0-9_-]+$/;
/** Two memberships are enough to know that there is more than one. */
const MEMBERSHIPS_ASKED_FOR = 2;
/** Half of at least five calls in ten seconds failing opens the breaker; after ten seconds one call tries again. */
const BREAKER = {
  errorThresholdPercentage: 50,
  volumeThreshold: 5,
  rollingCountTimeout: 10_000,
  resetTimeout: 10_000,
};

/**
 * Clerk's SDK knows neither a time limit nor a retry: the breaker gives it the one and spares Clerk the other. Each
 * call that fails, takes too long, or is refused while the breaker is open rejects; the caller remembers that.
 */
export function clerkClient({ secretKey, apiUrl, timeoutMs, onAnswer, onBreaker }: ClerkClientOptions): {
  soleMember: SoleMemberQuery;
  known: KnownQuery;
  close: () => void;
} {
  const clerk = createClerkClient({ secretKey, ...(apiUrl === null ? {} : { apiUrl }), telemetry: { disabled: true } });

  async function ask(clerkOrgId: string): Promise<string | null> {
    const { data, totalCount } = await clerk.organizations.getOrganizationMembershipList({
      organizationId: clerkOrgId,
      limit: MEMBERSHIPS_ASKED_FOR,
    });
    // Whatever else answers 200, a proxy's page say, has not said that there is nobody.
    if (!Array.isArray(data) || !Number.isInteger(totalCount)) throw new Error('This is no membership list');
    return totalCount === 1 ? soleUser(data) : null;
  }

  // Past the breaker: it is asked now and then, and what becomes of it says little about memberships.
  async function known(clerkOrgId: string): Promise<boolean> {
    if (!CLERK_ID.test(clerkOrgId)) throw new Error("This is no id of Clerk's");
    try {
      const { id } = await within(timeoutMs, clerk.organizations.getOrganization({ organizationId: clerkOrgId }), late);
      if (id !== clerkOrgId) throw new Error('This is not the organisation that was asked for');
      return true;
    } catch (error) {
      if (isUnknownOrganization(error)) return false;
      throw error;
    }
  }

  let lastStatus: number | null = null;
  const breaker = new CircuitBreaker(unlessUnknown(ask), { ...BREAKER, timeout: timeoutMs });
  breaker.on('success', () => onAnswer('answered'));
  breaker.on('failure', (error: Error & { code?: string }) => {
    lastStatus = isClerkAPIResponseError(error) ? error.status : null;
    onAnswer(error.code === 'ETIMEDOUT' ? 'timeout' : 'failed');
  });
  breaker.on('reject', () => onAnswer('refused'));
  breaker.on('open', () => onBreaker('open', lastStatus));
  breaker.on('close', () => onBreaker('closed', null));

  return {
    // The SDK puts the id into the path as it is, where anything else would mean another resource or be refused by it.
    // No id of Clerk's looks so, and Clerk is not asked: its breaker must not hear of it.
    soleMember: async (clerkOrgId) => (CLERK_ID.test(clerkOrgId) ? breaker.fire(clerkOrgId) : null),
    known,
    close: () => breaker.shutdown(),
  };
}

const late = () => new Error('Clerk did not answer in time');

/** Said by Clerk, in its own words: whoever else answers 404, a proxy or another address, has not said it. */
function isUnknownOrganization(error: unknown): boolean {
  return (
    isClerkAPIResponseError(error) &&
    error.status === 404 &&
    error.errors.some(({ code }) => code === 'resource_not_found')
  );
}

function soleUser(data: OrganizationMembership[]): string {
  const userId = data[0]?.publicUserData?.userId;
  if (typeof userId !== 'string') throw new Error('A membership without its user');
  return userId;
}

/** An organisation that Clerk does not know is an answer, not a failure: it has no member. */
function unlessUnknown(ask: SoleMemberQuery): SoleMemberQuery {
  return async (clerkOrgId) => {
    try {
      return await ask(clerkOrgId);
    } catch (error) {
      if (isClerkAPIResponseError(error) && error.status === 404) return null;
      throw error;
    }
  };
}
