import type { CheckOutcome, ProviderChecker } from '../providers/provider-checker.ts';
import { within } from '../time-limit.ts';
import { type KeyState, UNCHECKED } from './key-state.ts';

/** What came of asking, and what is known of the secret by that: nothing where nobody was asked. */
export interface Asked {
  outcome: CheckOutcome;
  state: KeyState;
}

/** What a provider has at least: with less, a slow database would be taken for a provider that cannot be reached. */
export const QUESTION_SHARE_MS = 500;

class NoAnswerInTime extends Error {}

/**
 * Asks the provider, and takes one that is too slow for one that cannot be reached. Holds nothing meanwhile.
 *
 * @param limitMs what there is for it, if that is less than the checker takes
 */
export async function ask(
  checker: ProviderChecker,
  { provider, secret }: { provider: string; secret: string },
  limitMs: number,
): Promise<Asked> {
  const answer = within(limitMs, checker.check(provider, secret), () => new NoAnswerInTime());
  const outcome = await answer.catch((error: unknown) => {
    if (!(error instanceof NoAnswerInTime)) throw error;
    return 'unreachable' as const;
  });
  const state =
    outcome === 'unchecked' || outcome === 'busy' ? UNCHECKED : { status: outcome, lastCheckedAt: new Date() };
  return { outcome, state };
}
