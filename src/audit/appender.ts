import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import { countdown } from '../time-limit.ts';
import { type AppendStatements, insertEvents, lockHeads, prepareAppend } from './append-store.ts';
import { type Linked, link } from './chain.ts';
import type { Head, UnchainedEvent } from './event.ts';
import { KnownHeads } from './known-heads.ts';

/** What has become of events that were appended by themselves. */
export interface Appended extends Linked {
  /** Of chains that somebody else has moved: not stored, or nobody can say whether. */
  uncertain: UnchainedEvent[];
}

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
   * Events that are durable when it resolves, but for those that it names. They are chained to the heads as they are known
   * here, in one statement that stores nothing of a chain whose head is another one by then; what is left is chained again
   * in a transaction that locks the heads first, so that however many replicas write to a chain, each has its turn.
   *
   * @throws ServiceError `database_unavailable` within `limitMs`; some of them may be stored all the same
   */
  async append(key: DataKey, events: readonly UnchainedEvent[], limitMs: number): Promise<Appended> {
    const msLeft = countdown(limitMs);
    const { overtaken, ...kept } = await this.#appendToKnown(key, events, msLeft);
    this.#known.note(kept.heads);
    if (overtaken.size === 0) return { ...kept, uncertain: [] };
    this.#known.noteShared(overtaken);
    const again = events.filter(({ chain }) => overtaken.has(chain));
    try {
      const rest = await this.#database.transaction((queries) => this.appendIn(queries, key, again), msLeft());
      return { ...joined(kept, rest), uncertain: [] };
    } catch {
      // The others are stored, and a chain that cannot be added to is no reason to say that they are not.
      return { ...kept, uncertain: again };
    }
  }

  /** @returns what is stored, and the chains that somebody else has moved */
  async #appendToKnown(key: DataKey, events: readonly UnchainedEvent[], msLeft: () => number) {
    const chains = chainsOf(events);
    const before = await this.#heads(chains, msLeft());
    const linked = link(key, before, events);
    const batch = { before, after: linked.heads, events: linked.events };
    const overtaken = await this.#statements.append(batch, msLeft()).catch((error: unknown) => {
      this.#known.forget(chains);
      throw error;
    });
    return { ...(overtaken.size === 0 ? linked : without(overtaken, linked)), overtaken };
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

/** What of it is in other chains than these; what has no chain stays. */
function without(chains: ReadonlySet<string>, { events, heads, homeless }: Linked): Linked {
  const isOther = ({ chain }: { chain: string }) => !chains.has(chain);
  return { events: events.filter(isOther), heads: heads.filter(isOther), homeless };
}

function joined(one: Linked, other: Linked): Linked {
  return {
    events: [...one.events, ...other.events],
    heads: [...one.heads, ...other.heads],
    homeless: [...one.homeless, ...other.homeless],
  };
}
