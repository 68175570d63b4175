import type { Caller } from '../caller.ts';
import type { AuditKeys } from '../data-keys/audit-keys.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { ServiceError } from '../errors.ts';
import { countdown } from '../time-limit.ts';
import { Appender } from './appender.ts';
import type { Linked } from './chain.ts';
import { type AuditEntry, type UnchainedEvent, unchainedEvent } from './event.ts';
import { newEventId } from './event-id.ts';
import { GroupCommit } from './group-commit.ts';
import type { MovedHeads } from './moved-heads.ts';

/** Reveals that are recorded together: some hundred kilobytes, and a few milliseconds of PostgreSQL. */
const LARGEST_BATCH = 500;
/** A commit costs PostgreSQL as much as several events do: smaller ones are not worth what they let others do meanwhile. */
const FEWEST_IN_A_BATCH = 16;
/** Reveals that wait: some 4 MiB, and what a few transactions write. */
const MOST_WAITING = 4_000;
/** A batch that takes longer has failed; whoever waits for it is told so, and the next one begins. */
const BATCH_LIMIT_MS = 1_000;

/** Of the time of a change, what may be spent to find the key to sign with where it is not in memory. */
const KEY_LIMIT_MS = 500;
const CHANGE_LIMIT_MS = 1_600;

/** What becomes of events, for the metrics. */
export type AuditOutcome = 'written' | 'failed';

export interface AuditOptions {
  database: Database;
  keys: AuditKeys;
  heads: MovedHeads;
  /** Told of every batch of reveals, and how many of them were recorded. */
  onBatch: (events: number) => void;
  onEvents: (outcome: AuditOutcome, events: number) => void;
  /** Told how long a reveal waited for its event, in milliseconds. */
  onWaited: (waitedMs: number) => void;
  /** Told of a chain whose head is gone: it was deleted, and nothing can be added to the chain. */
  onHeadless: (chain: string) => void;
  /** For tests alone. */
  now?: () => Date;
}

/** What a transaction has changed, and what the audit says of it. */
export interface Changed<T> {
  result: T;
  /** None when nothing was changed. */
  events: readonly AuditEntry[];
}

/** Records who changed and revealed what. What it has not recorded has not happened. */
export class Audit {
  readonly #options: AuditOptions;
  readonly #appender: Appender;
  readonly #reveals: GroupCommit<UnchainedEvent>;

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#appender = new Appender(options.database);
    this.#reveals = new GroupCommit({
      commit: (events) => this.#commitReveals(events),
      largest: LARGEST_BATCH,
      fewest: FEWEST_IN_A_BATCH,
      waiting: MOST_WAITING,
      failure: (reason) => auditUnavailable({ reason }),
    });
  }

  /**
   * Runs a change as one transaction, with its events as the last of it: both happen, or neither. The heads of chains are
   * locked after all that the change locks, and for no longer than it takes to store an event and commit.
   *
   * @throws whatever `work` throws; ServiceError `database_unavailable` within `limitMs`, `audit_unavailable`
   */
  async change<T>(
    caller: Caller,
    work: (queries: Queries) => Promise<Changed<T>>,
    limitMs = CHANGE_LIMIT_MS,
  ): Promise<T> {
    const { database, heads, onEvents } = this.#options;
    const began = performance.now();
    const key = await this.#options.keys.current(KEY_LIMIT_MS);
    const { result, linked } = await database.transaction(
      async (queries) => {
        const changed = await work(queries);
        if (changed.events.length === 0) return { result: changed.result, linked: null };
        const events = changed.events.map((entry) => this.#eventOf(caller, entry));
        const appended = await this.#appender.appendIn(queries, key, events);
        this.#tellOfHeadless(appended);
        if (appended.homeless.length > 0) throw auditUnavailable({ reason: 'headless' });
        return { result: changed.result, linked: appended };
      },
      limitMs - (performance.now() - began),
    );
    if (linked !== null) {
      this.#appender.note(linked.heads);
      heads.note(linked.heads);
      onEvents('written', linked.events.length);
    }
    return result;
  }

  /**
   * Records that a secret is about to be revealed. Only when it resolves may the secret be opened. Events of many callers
   * share one commit.
   *
   * @throws ServiceError `audit_unavailable` within `limitMs`
   */
  async reveal(caller: Caller, entry: AuditEntry, limitMs: number): Promise<void> {
    const { onEvents, onWaited } = this.#options;
    const began = performance.now();
    try {
      await this.#reveals.write(this.#eventOf(caller, entry), limitMs);
    } catch (error) {
      onEvents('failed', 1);
      throw error;
    }
    onWaited(performance.now() - began);
  }

  #eventOf(caller: Caller, entry: AuditEntry): UnchainedEvent {
    const { now = () => new Date() } = this.#options;
    return unchainedEvent(caller, entry, { id: newEventId(), occurredAt: now() });
  }

  async #commitReveals(events: UnchainedEvent[]): Promise<ReadonlySet<UnchainedEvent>> {
    const { keys, heads, onBatch, onEvents } = this.#options;
    const msLeft = countdown(BATCH_LIMIT_MS);
    const linked = await this.#appender.append(await keys.current(KEY_LIMIT_MS), events, msLeft());
    this.#tellOfHeadless(linked);
    heads.note(linked.heads);
    onBatch(linked.events.length);
    onEvents('written', linked.events.length);
    return new Set([...linked.homeless, ...linked.uncertain]);
  }

  #tellOfHeadless({ homeless }: Linked): void {
    for (const chain of new Set(homeless.map((event) => event.chain))) this.#options.onHeadless(chain);
  }
}

function auditUnavailable(context: Record<string, string>): ServiceError {
  return new ServiceError(
    'audit_unavailable',
    'This cannot be recorded at the moment, so it was not done. Try again shortly.',
    {
      context,
    },
  );
}
