import { LRUCache } from 'lru-cache';
import type { Membership, MembershipLookup } from '../organizations/membership.ts';
import type { SoleMemberQuery } from './clerk-client.ts';

/** What Clerk last said of an organisation, and when it last failed to; instants of the monotonic clock, in ms. */
interface Entry {
  /** `outdated`: the members are known to have changed since it was asked for. */
  answer?: { clerkUserId: string | null; at: number; outdated: boolean };
  failedAt?: number;
}

export interface MembershipCacheOptions {
  query: SoleMemberQuery;
  /** How long an answer may be served when Clerk gives no newer one. */
  staleMaxMs: number;
  now?: () => number;
}

const FRESH_MS = 60_000;
const FAILURE_REMEMBERED_MS = 10_000;
/** Organisations remembered; about 200 bytes each. */
const MOST_ENTRIES = 50_000;

export interface MembershipCache {
  lookup: MembershipLookup;
  /**
   * The members of an organisation have changed. If anything is known of them, or being asked, Clerk is asked at once, a
   * failure just before notwithstanding; until it has answered, what was known is stale.
   */
  refresh: (clerkOrgId: string) => void;
}

/**
 * Answers from memory whenever there is an earlier answer, and asks Clerk beside the request: only the first question
 * about an organisation waits. One call per organisation is in flight at a time. A failure is remembered for 10 s.
 */
export function cachedMembership({
  query,
  staleMaxMs,
  now = () => performance.now(),
}: MembershipCacheOptions): MembershipCache {
  const entries = new LRUCache<string, Entry>({ max: MOST_ENTRIES });
  const inFlight = new Map<string, Promise<Entry>>();
  /** Those whose members have changed since the call in flight began. */
  const changed = new Set<string>();

  async function ask(clerkOrgId: string, known: Entry): Promise<Entry> {
    const entry = await query(clerkOrgId).then(
      (clerkUserId): Entry => ({ answer: { clerkUserId, at: now(), outdated: changed.has(clerkOrgId) } }),
      (): Entry => ({ ...(entries.peek(clerkOrgId) ?? known), failedAt: now() }),
    );
    entries.set(clerkOrgId, entry);
    inFlight.delete(clerkOrgId);
    if (changed.delete(clerkOrgId)) void askOnce(clerkOrgId, entry);
    return entry;
  }

  function refresh(clerkOrgId: string): void {
    const known = entries.peek(clerkOrgId);
    if (known?.answer !== undefined) known.answer.outdated = true;
    if (inFlight.has(clerkOrgId)) changed.add(clerkOrgId);
    else if (known !== undefined) void askOnce(clerkOrgId, known);
  }

  function hasJustFailed({ failedAt }: Entry): boolean {
    return failedAt !== undefined && now() - failedAt < FAILURE_REMEMBERED_MS;
  }

  function askOnce(clerkOrgId: string, known: Entry): Promise<Entry> {
    const running = inFlight.get(clerkOrgId) ?? ask(clerkOrgId, known);
    inFlight.set(clerkOrgId, running);
    return running;
  }

  function describe({ answer }: Entry): Membership {
    const age = answer === undefined ? Number.POSITIVE_INFINITY : now() - answer.at;
    if (answer === undefined || age >= staleMaxMs) return { clerkUserId: null, membership: 'unavailable' };
    const isFresh = age < FRESH_MS && !answer.outdated;
    return { clerkUserId: answer.clerkUserId, membership: isFresh ? 'fresh' : 'stale' };
  }

  const lookup: MembershipLookup = (clerkOrgId) => {
    const known = entries.get(clerkOrgId) ?? {};
    const fromMemory = describe(known);
    if (fromMemory.membership === 'fresh' || hasJustFailed(known)) return fromMemory;
    const asked = askOnce(clerkOrgId, known);
    return fromMemory.membership === 'stale' ? fromMemory : asked.then(describe);
  };
  return { lookup, refresh };
}
