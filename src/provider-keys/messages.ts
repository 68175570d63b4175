import type { CurrentVersion } from './version-writer.ts';

type Outcome = CurrentVersion['outcome'];

const SAVED: Record<Outcome, string> = {
  created: 'The key is stored.',
  replaced: 'The key is replaced.',
  unchanged: 'This key was stored already.',
};

export const savedMessage = (outcome: Outcome) => SAVED[outcome];

export const restoredMessage = (outcome: Outcome) =>
  outcome === 'unchanged' ? 'This was the current key already.' : 'The key is restored.';

export const removedMessage = (deleted: boolean) =>
  deleted ? 'The key is destroyed.' : 'There was no key for this provider.';
