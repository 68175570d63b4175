import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import { countdown } from '../time-limit.ts';
import { type AppendStatements, insertEvents, lockHeads, prepareAppend } from './append-store.ts';
import { type Linked, link } from './chain.ts';
import type { Head, UnchainedEvent } from './event.ts';
import { KnownHeads } from './known-heads.ts';

/** Adds events to the ends of their chains, at the end of a transaction or by themselves. */
export class Appender {
  readonly #database: Database;
  readonly #statements: AppendStatements;
  readonly #known = new KnownHeads();

  constructor(database: Database) {
    this.#database = database;
    this.#statements = prepareAppend(database);
  }

  /** To be told when the transaction of `appendIn` has been committed. */
  note(heads: readonly Head[]): void {
    this.#known.note(heads);
  }

  /** The last of a transaction: from here on it waits for nothing but the heads. */
  async appendIn(queries: Queries, key: DataKey, events: readonly UnchainedEvent[]): Promise<Linked> {
    const linked = link(key, await lockHeads(queries, chainsOf(events)), events);
    if (linked.events.length > 0) await insertEvents(queries, linked.events, linked.heads);
    return linked;
  }

  /**
   * Events that are durable when it resolves. They are chained to the heads as they are known here, in one statement that
   * stores nothing of a chain whose head is another one by then; what is left is chained again in a transaction that locks
   * the heads first, so that however many replicas write to a chain, each has its turn.
   *
   * @throws ServiceError `database_unavailable` within `limitMs`; some of them may be stored all the same
   */
  async append(key: DataKey, events: readonly UnchainedEvent[], limitMs: number): Promise<Linked> {
    const msLeft = countdown(limitMs);
    try {
      const kept = await this.#appendToKnown(key, events, msLeft);
      this.#known.note(kept.heads);
      const overtaken = events.filter(({ chain }) => kept.overtaken.has(chain));
      if (overtaken.length === 0) return kept;
      this.#known.noteShared(kept.overtaken);
      const rest = await this.#database.transaction((queries) => this.appendIn(queries, key, overtaken), msLeft());
      return joined(kept, rest);
    } catch (error) {
      this.#known.forget(chainsOf(events));
      throw error;
    }
  }

  /** @returns what is stored, and the chains that somebody else has moved */
  async #appendToKnown(key: DataKey, events: readonly UnchainedEvent[], msLeft: () => number) {
    const before = await this.#heads(chainsOf(events), msLeft());
    const linked = link(key, before, events);
    const stored = await this.#statements.append({ before, after: linked.heads, events: linked.events }, msLeft());
    const overtaken = new Set<string>();
    for (const { chain } of linked.heads) if (!stored.has(chain)) overtaken.add(chain);
    return { ...(overtaken.size === 0 ? linked : only(stored, linked)), overtaken };
  }

  async #heads(chains: readonly string[], limitMs: number): Promise<Head[]> {
    const known: Head[] = [];
    const unknown: string[] = [];
    for (const chain of chains) {
      const head = this.#known.find(chain);
      if (head === undefined) unknown.push(chain);
      else known.push(head);
    }
    return unknown.length === 0 ? known : known.concat(await this.#statements.readHeads(unknown, limitMs));
  }
}

const chainsOf = (events: readonly UnchainedEvent[]) => [...new Set(events.map(({ chain }) => chain))];

/** What of it is in these chains; what has no chain stays. */
function only(chains: ReadonlySet<string>, { events, heads, homeless }: Linked): Linked {
  const isOne = ({ chain }: { chain: string }) => chains.has(chain);
  return { events: events.filter(isOne), heads: heads.filter(isOne), homeless };
}

function joined(one: Linked, other: Linked): Linked {
  return {
    events: [...one.events, ...other.events],
    heads: [...one.heads, ...other.heads],
    homeless: [...one.homeless, ...other.homeless],
  };
}
