import type { Queries } from '../database/queries.ts';
import type { OwnerId } from './data-key-store.ts';

/** What the audit says of a change that this room makes; see audit/event.ts. */
export interface DataKeyEvent {
  organizationId: OwnerId;
  action: 'data_keys.rewrapped' | 'data_keys.rolled';
  details: Record<string, string | number | readonly string[]>;
}

/** Runs a change as one transaction, with its event as the last of it; `event` is null when nothing was changed. */
export type RunRecorded = <T>(
  work: (queries: Queries) => Promise<{ result: T; event: DataKeyEvent | null }>,
) => Promise<T>;
