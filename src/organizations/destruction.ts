import type { Changed } from '../audit/audit.ts';
import type { AuditAction, AuditEntry, Details } from '../audit/event.ts';
import type { Queries } from '../database/queries.ts';
import type { Destroyed } from '../database/schema/index.ts';
import type { Belongings } from './belongings.ts';
import { markDestroyed, noteDestruction, type Organization } from './ending-store.ts';

/** One that has ended. */
export interface EndedOrganization {
  id: string;
  clerkOrgId: string;
  endedAt: Date;
  /** Of one with nothing left of it; null while its destruction is under way. */
  end: { destroyedAt: Date; destroyed: Destroyed } | null;
}

/**
 * What one transaction revokes at most: a fraction of a second. From the commit of the end on none of the others is good
 * either.
 */
export const KEYS_AT_ONCE = 5_000;
/** What one transaction destroys at most, each of up to ten versions: a fraction of a second. */
const PROVIDER_KEYS_AT_ONCE = 500;
/** Longer than one takes: if whoever is at it stops, the sweep goes on with it after so long. */
const GONE_ON_WITH_AFTER_MS = 5_000;

/**
 * As much of a destruction as one transaction does, in which the organisation is locked: all of it, for most. What it has
 * destroyed is counted in the row. The data keys and the receipt come last, when nothing else is left.
 */
export async function destroySome(
  belongings: Belongings,
  queries: Queries,
  organization: Organization & { endedAt: Date },
): Promise<Changed<EndedOrganization>> {
  const { id, clerkOrgId, endedAt, destroyedAt, destroyed, destruction } = organization;
  const ended = { id, clerkOrgId, endedAt };
  if (destroyedAt !== null && destroyed !== null) {
    return { result: { ...ended, end: { destroyedAt, destroyed } }, events: [] };
  }
  const revoked = await belongings.revokeApiKeys(queries, id, { at: endedAt, most: KEYS_AT_ONCE });
  const some =
    revoked === KEYS_AT_ONCE
      ? { providerKeys: 0, secrets: 0, more: true }
      : await belongings.destroyProviderKeys(queries, id, { most: PROVIDER_KEYS_AT_ONCE });
  const providerKeys = (destruction?.providerKeys ?? 0) + some.providerKeys;
  const secrets = (destruction?.secrets ?? 0) + some.secrets;
  if (some.more) {
    await noteDestruction(queries, id, { providerKeys, secrets }, { dueInMs: GONE_ON_WITH_AFTER_MS });
    const events = destruction === null ? [eventOf(id, 'organization.destruction_begun')] : [];
    return { result: { ...ended, end: null }, events };
  }
  const end = await finish(belongings, queries, id, { providerKeys, secrets });
  // The receipt: it outlives the row that says the same, and cannot be altered like it.
  const receipt = {
    endedAt: endedAt.toISOString(),
    destroyedAt: end.destroyedAt.toISOString(),
    ...end.destroyed,
  };
  return { result: { ...ended, end }, events: [eventOf(id, 'organization.destroyed', receipt)] };
}

/** Secrets have gone before the data keys that sealed them. */
async function finish(
  belongings: Belongings,
  queries: Queries,
  id: string,
  { providerKeys, secrets }: { providerKeys: number; secrets: number },
): Promise<{ destroyedAt: Date; destroyed: Destroyed }> {
  const dataKeys = await belongings.destroyDataKeys(queries, id);
  const destroyed = { apiKeys: await belongings.countApiKeys(queries, id), providerKeys, secrets, dataKeys };
  return { destroyedAt: await markDestroyed(queries, id, destroyed), destroyed };
}

export function eventOf(id: string, action: AuditAction, details: Details = {}): AuditEntry {
  return { organizationId: id, action, target: { type: 'organization', id }, details };
}
