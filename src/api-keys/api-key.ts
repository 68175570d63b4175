import type { Environment } from '../key-format.ts';
import type { Json } from '../prepared-json.ts';
import type { RateLimit } from '../rate-limits/rate-limit.ts';
import type { UsageLimit } from './usage-limit.ts';

/** What makes a key of an organisation stop: it was revoked, switched off, or its time is over. */
export const API_KEY_STATUSES = ['active', 'revoked', 'disabled', 'expired'] as const;
export type ApiKeyStatus = (typeof API_KEY_STATUSES)[number];

/** An API key as it is stored, without its hash. */
export interface ApiKey extends UsageLimit {
  id: string;
  keyPrefix: string;
  last4: string;
  name: string | null;
  environment: Environment;
  enabled: boolean;
  scopes: string[] | null;
  metadata: Record<string, Json>;
  /** Ranges of addresses that it may be used from; null: anywhere; empty: nowhere. */
  ipAllowList: string[] | null;
  expiresAt: Date | null;
  /** null: that of its organisation. */
  rateLimit: RateLimit | null;
  createdAt: Date;
  updatedAt: Date;
  revision: number;
  revokedAt: Date | null;
  /** The key that took its place. */
  rotatedTo: string | null;
  /** The key whose place it took. */
  rotatedFrom: string | null;
}

/** What of a key may be changed once it is issued. */
export type ApiKeySettings = Pick<
  ApiKey,
  'name' | 'enabled' | 'expiresAt' | 'scopes' | 'metadata' | 'ipAllowList' | 'rateLimit' | keyof UsageLimit
>;

/** With what is stored beside it. */
export interface UsedApiKey extends ApiKey {
  /** Written a few seconds after each use. */
  lastUsedAt: Date | null;
  /** A sealed copy is kept. */
  recoverable: boolean;
}

/** What a validation needs to know of a key. */
export interface ValidatedApiKey
  extends Pick<
    ApiKey,
    'id' | 'name' | 'environment' | 'enabled' | 'scopes' | 'metadata' | 'ipAllowList' | 'expiresAt' | 'revokedAt'
  > {
  organizationId: string;
  clerkOrgId: string;
  /** Its organisation is. */
  suspended: boolean;
  /** null: it may be used as often as anybody likes. */
  usageLimitId: string | null;
  /** Its own, or else that of its organisation; null: none. */
  rateLimit: RateLimit | null;
  /** Sorted by code point. */
  configuredProviders: string[];
}

/** Why a key is not good at an instant. */
export type Refusal = { reason: 'revoked' | 'disabled' } | { reason: 'expired'; expiredAt: Date };

type Life = Pick<ApiKey, 'revokedAt' | 'enabled' | 'expiresAt'>;

/** Null for a good key. What is final comes first: a revoked key stays revoked when it expires. */
export function refusalOf({ revokedAt, enabled, expiresAt }: Life, nowMs: number): Refusal | null {
  if (revokedAt !== null) return { reason: 'revoked' };
  if (expiresAt !== null && expiresAt.getTime() <= nowMs) return { reason: 'expired', expiredAt: expiresAt };
  return enabled ? null : { reason: 'disabled' };
}

export function apiKeyStatus(key: Life, nowMs: number): ApiKeyStatus {
  return refusalOf(key, nowMs)?.reason ?? 'active';
}
