/**
 * Why a provider could not say whether a key is good: no answer in time; its name not resolved; an address that no check
 * may connect to; no connection, or a broken one; an answer that says neither.
 */
export type UnansweredReason = 'time_limit' | 'not_resolved' | 'address_refused' | 'connection' | 'unexpected_answer';

/** Holds no more than this: whatever Node says of a request that failed might repeat what was sent. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered';
  readonly reason: UnansweredReason;
  /** The status of an unexpected answer. */
  readonly status: number | null;

  constructor(reason: UnansweredReason, status: number | null = null) {
    super(reason);
    this.reason = reason;
    this.status = status;
  }
}
