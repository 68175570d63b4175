import { type Caller, identityOf } from '../caller.ts';

/** The chain of what belongs to no organisation: the nil UUID (RFC 9562 §5.9). */
export const NO_ORGANIZATION = '00000000-0000-0000-0000-000000000000';

/** All that may be recorded. The names are what callers filter by, and they are never given another meaning. */
export const AUDIT_ACTIONS = [
  'api_key.issued',
  'api_key.imported',
  'api_key.updated',
  'api_key.rotated',
  'api_key.revoked',
  'api_key.recovered',
  'api_key.recovery_failed',
  'service_key.issued',
  'service_key.revoked',
  'provider_key.saved',
  'provider_key.rolled_back',
  'provider_key.removed',
  'provider_key.checked',
  'provider_key.reported',
  'provider_key.source_set',
  'provider_key.revealed',
  'provider_key.reveal_failed',
  'reveals.frozen',
  'reveals.unfrozen',
  'leak_report.taken',
  'answer.repeated',
  'organization.api_keys_revoked',
  'organization.rate_limit_set',
  'organization.suspended',
  'organization.resumed',
  'organization.ended',
  'organization.destruction_begun',
  'organization.destroyed',
  'organization.restored',
  'data_keys.rewrapped',
  'data_keys.rolled',
  'audit.cut',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** Small, and never a secret. Numbers are whole and have at most 15 digits, which PostgreSQL and JavaScript write alike. */
export type Details = Record<string, string | number | boolean | null | readonly string[]>;

/** What a use case says of what it does. */
export interface AuditEntry {
  /** null: what belongs to no organisation. */
  organizationId: string | null;
  action: AuditAction;
  target: {
    type:
      | 'api-key'
      | 'service-key'
      | 'provider-key'
      | 'organization'
      | 'leak-report'
      | 'request'
      | 'data-key'
      | 'audit';
    id: string | null;
  };
  provider?: string;
  details?: Details;
}

/** An event before it has its place in a chain. */
export interface UnchainedEvent {
  id: string;
  chain: string;
  occurredAt: Date;
  actorKind: string;
  actor: string;
  action: AuditAction;
  targetType: string;
  targetId: string | null;
  provider: string | null;
  requestId: string;
  address: string | null;
  details: Details;
}

/** With its place, and the MAC that holds it there. */
export interface ChainedEvent extends UnchainedEvent {
  sequence: number;
  dataKeyId: string;
  /** Hexadecimal. */
  mac: string;
}

/** The newest event of a chain; sequence 0 and an empty MAC before the first. */
export interface Head {
  chain: string;
  sequence: number;
  mac: Buffer;
}

export function unchainedEvent(
  caller: Caller,
  { organizationId, action, target, provider, details }: AuditEntry,
  { id, occurredAt }: Pick<UnchainedEvent, 'id' | 'occurredAt'>,
): UnchainedEvent {
  const { kind, name } = identityOf(caller);
  return {
    id,
    chain: organizationId ?? NO_ORGANIZATION,
    occurredAt,
    actorKind: kind,
    actor: name,
    action,
    targetType: target.type,
    targetId: target.id,
    provider: provider ?? null,
    requestId: caller.requestId,
    address: caller.address,
    details: details ?? {},
  };
}
