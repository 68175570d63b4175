import type { Refusal } from '../api-keys/api-key.ts';
import { type ErrorCode, ServiceError, traceless } from '../errors.ts';

/** Why a key is refused whatever its holder asks for. */
export type KeyRefusal = Refusal | { reason: 'invalid' | 'suspended' } | AddressRefusal | GuessingRefusal;

/** The key may not be used from there; null: from where nobody knows. */
interface AddressRefusal {
  reason: 'address';
  address: string | null;
}

/** Nobody issued it, and too many of those came from that address. */
interface GuessingRefusal {
  reason: 'guessing';
  retryAfterSeconds: number;
}

/** What each is answered as, and counted as where the key is known. */
export const REFUSAL_CODES: Record<KeyRefusal['reason'], ErrorCode> = {
  invalid: 'api_key_invalid',
  revoked: 'api_key_revoked',
  disabled: 'api_key_disabled',
  expired: 'api_key_expired',
  suspended: 'organization_suspended',
  address: 'ip_not_allowed',
  guessing: 'rate_limited',
};

/** Why what the holder of a good key asks for may be refused. Each is counted. */
export const ADMISSION_REFUSALS: readonly ErrorCode[] = ['insufficient_scope', 'rate_limited', 'usage_exceeded'];

/** The refusal as whoever asked is told of it. */
export function refused(refusal: KeyRefusal): ServiceError {
  // For who wonders in the log why a key is refused: behind a gateway it may be the gateway's.
  const context = refusal.reason === 'address' ? { address: refusal.address } : {};
  const retry = refusal.reason === 'guessing' ? { retryAfterSeconds: refusal.retryAfterSeconds } : {};
  return traceless(() => new ServiceError(REFUSAL_CODES[refusal.reason], sentence(refusal), { context, ...retry }));
}

function sentence(refusal: KeyRefusal): string {
  switch (refusal.reason) {
    case 'invalid':
      return 'This is not a valid API key.';
    case 'revoked':
      return 'This API key was revoked.';
    case 'disabled':
      return 'This API key is disabled.';
    case 'suspended':
      return 'The organisation that this API key belongs to is suspended.';
    case 'guessing':
      return 'Too many keys that are not valid have come from this address.';
    case 'address':
      return 'This API key may not be used from this address.';
    case 'expired':
      return `This API key expired at ${refusal.expiredAt.toISOString()}.`;
  }
}
