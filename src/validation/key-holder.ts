import type { ApiKeyCaller, Origin } from '../caller.ts';
import type { Quota } from '../rate-limits/rate-limit.ts';
import type { KnownKey } from './known-key.ts';

/** Validations promise an answer within a second when the database is gone; this leaves room to give it. */
export const WAITING_LIMIT_MS = 750;

/** The holder of a valid key, with what is known of it. */
export interface KeyHolder extends ApiKeyCaller {
  known: KnownKey;
  /** When the key was found to be good, in ms since 1970. */
  atMs: number;
  /** When somebody was first waited for, by `performance.now()`; null where memory had it all. */
  beganMs: number | null;
  /** What its rate limit says of this request; null before that is asked, and where it has none. */
  quota: Quota | null;
  /** After this use of it; null before it is admitted, and where nothing counts the uses. */
  remainingUses: number | null;
}

export function holderOf(
  { requestId, address }: Origin,
  known: KnownKey,
  atMs: number,
  beganMs: number | null,
): KeyHolder {
  const { id: apiKeyId, organizationId } = known;
  return {
    kind: 'apiKey',
    requestId,
    address,
    apiKeyId,
    organizationId,
    known,
    atMs,
    beganMs,
    quota: null,
    remainingUses: null,
  };
}

/** How much longer may be waited for the database and for Redis, in ms; 0 and less is no longer. */
export function msLeftOf({ beganMs }: KeyHolder): number {
  return beganMs === null ? WAITING_LIMIT_MS : WAITING_LIMIT_MS - (performance.now() - beganMs);
}
