/**
 * What is known of an organisation's members.
 * - `fresh`: Clerk said so just now
 * - `stale`: Clerk said so a while ago and is being asked again
 * - `unavailable`: Clerk has not answered yet; `clerkUserId` is null
 * - `disabled`: there is no CLERK_SECRET_KEY; `clerkUserId` is null
 */
export type MembershipState = 'fresh' | 'stale' | 'unavailable' | 'disabled';

export interface Membership {
  /** The organisation's only member; null when it has none, or more than one. */
  clerkUserId: string | null;
  membership: MembershipState;
}

/** Never rejects: who the members are must not decide whether a key is valid. A promise only where Clerk is waited for. */
export type MembershipLookup = (clerkOrgId: string) => Membership | Promise<Membership>;

export const membershipDisabled: MembershipLookup = () => ({ clerkUserId: null, membership: 'disabled' });
