import type { AuditEntry } from '../audit/event.ts';
import type { ApiKey } from './api-key.ts';
import { limitDetails } from './usage-limit.ts';

/** What the audit is told of an API key, in more than one place. */
export function issuedEvent(
  organizationId: string,
  { id, environment, scopes, expiresAt, ipAllowList, remainingUses, refill, rotatedFrom }: ApiKey,
): AuditEntry {
  return {
    organizationId,
    action: 'api_key.issued',
    target: { type: 'api-key', id },
    details: {
      environment,
      scopes,
      expiresAt: expiresAt?.toISOString() ?? null,
      ...(remainingUses === null ? {} : limitDetails({ remainingUses, refill })),
      ...(ipAllowList === null ? {} : { ipAllowList }),
      ...(rotatedFrom === null ? {} : { rotatedFrom }),
    },
  };
}

export function revokedEvent(organizationId: string, id: string): AuditEntry {
  return { organizationId, action: 'api_key.revoked', target: { type: 'api-key', id } };
}
