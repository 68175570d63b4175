import { z } from 'zod';
import { CLERK_ID } from './clerk-client.ts';

/** What an event means here. */
export interface Meaning {
  means: 'deleted' | 'lives' | 'members changed';
  clerkOrgId: string;
}

const clerkOrgId = z.string().max(255).regex(CLERK_ID, 'must be an id of Clerk');
const deleted = z.object({ id: clerkOrgId }).transform(({ id }): Meaning => ({ means: 'deleted', clerkOrgId: id }));
const lives = z.object({ id: clerkOrgId }).transform(({ id }): Meaning => ({ means: 'lives', clerkOrgId: id }));
const membersChanged = z
  .object({ organization: z.object({ id: clerkOrgId }) })
  .transform(({ organization }): Meaning => ({ means: 'members changed', clerkOrgId: organization.id }));

/** What Clerk tells in the `data` of its events. It adds fields as it likes; what is not needed is not looked at. */
export const EVENTS: ReadonlyMap<unknown, z.ZodType<Meaning>> = new Map<unknown, z.ZodType<Meaning>>([
  ['organization.deleted', deleted],
  ['organization.created', lives],
  ['organization.updated', lives],
  ['organizationMembership.created', membersChanged],
  ['organizationMembership.updated', membersChanged],
  ['organizationMembership.deleted', membersChanged],
]);
