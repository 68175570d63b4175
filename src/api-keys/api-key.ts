import type { Environment } from './key-format.ts';

/** What makes a key of an organisation stop: it was revoked, switched off, or its time is over. */
export type ApiKeyStatus = 'active' | 'revoked' | 'disabled' | 'expired';

/** An API key as it is stored, without its hash. */
export interface ApiKey {
  id: string;
  keyPrefix: string;
  last4: string;
  name: string | null;
  environment: Environment;
  enabled: boolean;
  scopes: string[] | null;
  metadata: Record<string, unknown>;
  expiresAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
  revision: number;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

/** The state of a key at an instant. What is final comes first: a revoked key stays revoked when it expires. */
export function apiKeyStatus(key: Pick<ApiKey, 'revokedAt' | 'enabled' | 'expiresAt'>, now: Date): ApiKeyStatus {
  if (key.revokedAt !== null) return 'revoked';
  if (key.expiresAt !== null && key.expiresAt <= now) return 'expired';
  if (!key.enabled) return 'disabled';
  return 'active';
}
