import type { Permission } from '../caller.ts';

/** What makes a service key stop: it was revoked, or its time is over. */
export type ServiceKeyStatus = 'active' | 'revoked' | 'expired';

/** A service key as it is stored, without its hash. */
export interface ServiceKey {
  id: string;
  name: string;
  keyPrefix: string;
  last4: string;
  permissions: Permission[];
  /** Whose keys it may be shown, with the permission to; null: all providers'. */
  revealProviders: string[] | null;
  expiresAt: Date | null;
  createdAt: Date;
  revokedAt: Date | null;
}

/** With what is written beside it, a few seconds after each use. */
export interface UsedServiceKey extends ServiceKey {
  lastUsedAt: Date | null;
}

/** What a request that is sent with it is decided by. */
export type KnownServiceKey = Pick<
  ServiceKey,
  'id' | 'name' | 'permissions' | 'revealProviders' | 'expiresAt' | 'revokedAt'
>;

/** Why a key is not good at an instant. */
export type Refusal = { reason: 'revoked' } | { reason: 'expired'; expiredAt: Date };

type Life = Pick<ServiceKey, 'revokedAt' | 'expiresAt'>;

/** Null for a good key. What is final comes first: a revoked key stays revoked when it expires. */
export function refusalOf({ revokedAt, expiresAt }: Life, nowMs: number): Refusal | null {
  if (revokedAt !== null) return { reason: 'revoked' };
  return expiresAt !== null && expiresAt.getTime() <= nowMs ? { reason: 'expired', expiredAt: expiresAt } : null;
}

export function serviceKeyStatus(key: Life, nowMs: number): ServiceKeyStatus {
  return refusalOf(key, nowMs)?.reason ?? 'active';
}
