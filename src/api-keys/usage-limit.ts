import { invalidRequest } from '../errors.ts';

export const REFILL_INTERVALS = ['day', 'month'] as const;

/** What is left is set to `amount` when a calendar day or month in UTC begins, however much or little it was. */
export interface Refill {
  amount: number;
  interval: (typeof REFILL_INTERVALS)[number];
}

/** How often a key may still be used. A key and the one that took its place share it. */
export interface UsageLimit {
  /** As of now; null: as often as anybody likes. */
  remainingUses: number | null;
  /** null without a limit, too. */
  refill: Refill | null;
}

/** What is undefined stays. */
export type WantedUsageLimit = { [Name in keyof UsageLimit]?: UsageLimit[Name] | undefined };

export const NEEDS_LIMIT = 'needs remainingUses';

/** A refill, and no limit that it would fill up again. */
export function lacksLimit(
  { remainingUses, refill }: WantedUsageLimit,
  before: UsageLimit['remainingUses'] = null,
): boolean {
  return (refill ?? null) !== null && (remainingUses === undefined ? before : remainingUses) === null;
}

/** @throws ServiceError `invalid_request` for a refill without a limit */
export function requireLimitToRefill(wanted: WantedUsageLimit, before?: UsageLimit['remainingUses']): void {
  if (lacksLimit(wanted, before)) throw invalidRequest([{ pointer: '/refill', detail: NEEDS_LIMIT }]);
}

/** What the audit is told of a limit: of its parts those that are given. */
export function limitDetails({ remainingUses, refill }: WantedUsageLimit) {
  return {
    ...(remainingUses === undefined ? {} : { remainingUses }),
    ...(refill === undefined ? {} : { refillAmount: refill?.amount ?? null, refillInterval: refill?.interval ?? null }),
  };
}
