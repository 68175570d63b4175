import type { AuditEntry } from '../audit/event.ts';
import { rateLimitText } from '../rate-limits/rate-limit.ts';
import type { ApiKey } from './api-key.ts';
import { limitDetails } from './usage-limit.ts';

/** What the audit is told of an API key, in more than one place. */
export function issuedEvent(
  organizationId: string,
  { id, environment, scopes, expiresAt, ipAllowList, rateLimit, remainingUses, refill, rotatedFrom }: ApiKey,
  { recoverable }: { recoverable: boolean },
): AuditEntry {
  return {
    organizationId,
    action: 'api_key.issued',
    target: { type: 'api-key', id },
    details: {
      environment,
      scopes,
      expiresAt: expiresAt?.toISOString() ?? null,
      ...(rateLimit === null ? {} : { rateLimit: rateLimitText(rateLimit) }),
      ...(remainingUses === null ? {} : limitDetails({ remainingUses, refill })),
      ...(ipAllowList === null ? {} : { ipAllowList }),
      ...(rotatedFrom === null ? {} : { rotatedFrom }),
      ...(recoverable ? { recoverable } : {}),
    },
  };
}

export function revokedEvent(organizationId: string, id: string): AuditEntry {
  return { organizationId, action: 'api_key.revoked', target: { type: 'api-key', id } };
}
