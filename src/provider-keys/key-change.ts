import type { Change } from '../database/change-feed/change.ts';

/** What the change of a key is to the change feed, as the triggers tell it too. */
export function changeOf(organizationId: string | null, provider: string): Change {
  return organizationId === null
    ? { kind: 'platform-key-changed', provider }
    : { kind: 'organization-changed', organizationId };
}
