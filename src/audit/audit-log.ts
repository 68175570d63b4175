import type { Caller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import { type ListPosition, type ListRange, pageOf } from '../paging.ts';
import { findChain, listChains } from './chain-store.ts';
import { type EventFilter, type ListedEvent, listEvents, readForExport } from './list-store.ts';

const USUAL_PAGE = 50;
const EXPORTED_AT_ONCE = 200;
const CHAINS_AT_ONCE = 500;

export interface ExportFilter {
  /** null: of all, and of what belongs to none. */
  clerkOrgId: string | null;
  /** Inclusive. */
  since: Date | null;
  /** Exclusive. */
  until: Date | null;
}

export type ExportedEvent = Awaited<ReturnType<typeof readForExport>>[number];

/** Reads what was recorded. It does not verify: see verification.ts. */
export class AuditLog {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first. `next` is where the following page starts, or null when this was the last. */
  async list(
    _caller: Caller,
    filter: EventFilter,
    { after, limit = USUAL_PAGE }: ListRange,
  ): Promise<{ events: ListedEvent[]; next: ListPosition | null }> {
    const { page, next } = await pageOf({ after, limit }, async (range) => {
      const events = await this.#database.query((queries) => listEvents(queries, filter, range));
      return events.map((event) => ({ event, createdAt: event.occurredAt, id: event.id }));
    });
    return { events: page.map(({ event }) => event), next: next && { createdAt: next.createdAt, id: next.id } };
  }

  /**
   * Chain by chain, each in the order in which it grew, a few at a time. What is added to a chain while it is read is in it
   * too, and nothing is passed over: within a chain events become visible in their order.
   */
  async *export({ clerkOrgId, since, until }: ExportFilter): AsyncGenerator<ExportedEvent[]> {
    for await (const chain of this.#chains(clerkOrgId)) {
      for (let after = 0; ; ) {
        const position = after;
        const page = await this.#database.query((queries) =>
          readForExport(queries, chain, { after: position, since, until, limit: EXPORTED_AT_ONCE }),
        );
        if (page.length > 0) yield page;
        if (page.length < EXPORTED_AT_ONCE) break;
        after = page.at(-1)?.sequence ?? after;
      }
    }
  }

  async *#chains(clerkOrgId: string | null): AsyncGenerator<string> {
    if (clerkOrgId !== null) {
      const chain = await this.#database.query((queries) => findChain(queries, clerkOrgId));
      if (chain !== undefined) yield chain;
      return;
    }
    for (let from: string | null = null; ; ) {
      const after: string | null = from;
      const chains: string[] = await this.#database.query((queries) => listChains(queries, after, CHAINS_AT_ONCE));
      yield* chains;
      if (chains.length < CHAINS_AT_ONCE) return;
      from = chains.at(-1) ?? null;
    }
  }
}
