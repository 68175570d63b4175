import { createClerkClient, type OrganizationMembership } from '@clerk/backend';
import { isClerkAPIResponseError } from '@clerk/backend/errors';
import CircuitBreaker from 'opossum';

/** Asks Clerk who the only member of an organisation is; null for none, several, or an unknown organisation. */
export type SoleMemberQuery = (clerkOrgId: string) => Promise<string | null>;

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

const CLERK_ID = /^[A-Za-z0-9_-]+$/;
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
    close: () => breaker.shutdown(),
  };
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
