import type { Refusal } from '../api-keys/api-key.ts';
import type { ErrorCode } from '../errors.ts';

/** Why a key is refused whatever its holder asks for. */
export type KeyRefusal = Refusal | { reason: 'invalid' | 'suspended' } | AddressRefusal;

/** The key may not be used from there; null: from where nobody knows. */
interface AddressRefusal {
  reason: 'address';
  address: string | null;
}

/** What each is answered as, and counted as where the key is known. */
export const REFUSAL_CODES: Record<KeyRefusal['reason'], ErrorCode> = {
  invalid: 'api_key_invalid',
  revoked: 'api_key_revoked',
  disabled: 'api_key_disabled',
  expired: 'api_key_expired',
  suspended: 'organization_suspended',
  address: 'ip_not_allowed',
};

/** Why what the holder of a good key asks for may be refused. Each is counted. */
export const ADMISSION_REFUSALS: readonly ErrorCode[] = ['insufficient_scope', 'usage_exceeded'];
