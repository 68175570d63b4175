import type { AuditKeys } from '../data-keys/audit-keys.ts';
import type { Database } from '../database/database.ts';
import { findChain, findCheckpoint, findHead, findOwner, listChains, readStored } from './chain-store.ts';
import { ChainVerifier, type Fault, type LoggedMacs, type StoredCheckpoint } from './chain-verifier.ts';
import { NO_ORGANIZATION } from './event.ts';

/** What is known of a chain once it was followed to its end, or to its first fault. */
export interface VerifiedChain {
  chain: string;
  /** null: the chain of what belongs to no organisation, or of an organisation that is gone. */
  clerkOrgId: string | null;
  /** Events that were verified. */
  events: number;
  fault: Fault | null;
}

/** Of each chain, the MACs that the log has. */
export type LoggedHeads = ReadonlyMap<string, LoggedMacs>;

const EVENTS_AT_ONCE = 200;
const CHAINS_AT_ONCE = 500;
/** An event that was forged with a number before the first is read too. */
const BEFORE_ALL = Number.MIN_SAFE_INTEGER;
/** Retention cuts a chain again and again only when it is far behind; somebody who moves a checkpoint may do it for ever. */
const MOST_ATTEMPTS = 100;

/**
 * Follows every chain from its beginning to its end: what was edited, deleted, moved or forged in the database is found, and
 * with the heads that were logged also an end that was cut off.
 */
export class Verification {
  readonly #database: Database;
  readonly #keys: AuditKeys;

  constructor(database: Database, keys: AuditKeys) {
    this.#database = database;
    this.#keys = keys;
  }

  async *all(logged: LoggedHeads = new Map()): AsyncGenerator<VerifiedChain> {
    const unseen = new Set(logged.keys());
    for (let after: string | null = null, isLast = false; !isLast; ) {
      const position: string | null = after;
      const chains: string[] = await this.#database.query((queries) => listChains(queries, position, CHAINS_AT_ONCE));
      for (const chain of chains) {
        unseen.delete(chain);
        yield await this.chain(chain, logged.get(chain));
      }
      after = chains.at(-1) ?? null;
      isLast = chains.length < CHAINS_AT_ONCE;
    }
    // Nothing at all is left of these.
    for (const chain of unseen) yield await this.chain(chain, logged.get(chain));
  }

  /** Null when no such organisation is known. */
  async ofOrganization(clerkOrgId: string, logged: LoggedHeads = new Map()): Promise<VerifiedChain | null> {
    const chain = await this.#database.query((queries) => findChain(queries, clerkOrgId));
    return chain === undefined ? null : this.chain(chain, logged.get(chain));
  }

  async chain(chain: string, logged?: LoggedMacs): Promise<VerifiedChain> {
    const clerkOrgId = chain === NO_ORGANIZATION ? null : await this.#database.query((q) => findOwner(q, chain));
    for (let attempt = 1; ; attempt += 1) {
      const checkpoint = await this.#checkpoint(chain);
      const outcome = await this.#follow(chain, checkpoint, logged);
      // What is missing may have been cut by retention meanwhile.
      const isSettled = outcome.fault === null || attempt === MOST_ATTEMPTS;
      if (isSettled || (await this.#checkpoint(chain))?.text.sequence === checkpoint?.text.sequence) {
        return { chain, clerkOrgId, ...outcome };
      }
    }
  }

  #checkpoint(chain: string): Promise<StoredCheckpoint | null> {
    return this.#database.query((queries) => findCheckpoint(queries, chain));
  }

  /** The chain may grow meanwhile: it is read to its end, and its head, which moves with every event, is read after that. */
  async #follow(
    chain: string,
    checkpoint: StoredCheckpoint | null,
    logged: LoggedMacs | undefined,
  ): Promise<Pick<VerifiedChain, 'events' | 'fault'>> {
    const verifier = new ChainVerifier((id) => this.#database.query((queries) => this.#keys.find(queries, id)), logged);
    let events = 0;
    const fault = await verifier.begin(checkpoint);
    if (fault !== null) return { events, fault };
    for (let after = BEFORE_ALL, headWasAheadOf: number | null = null; ; ) {
      const position: number = after;
      const page = await this.#database.query((queries) => readStored(queries, chain, position, EVENTS_AT_ONCE));
      for (const event of page) {
        const found = await verifier.next(event);
        if (found !== null) return { events, fault: found };
        events += 1;
        after = Number(event.text.sequence);
      }
      if (page.length === EVENTS_AT_ONCE) continue;
      const head = await this.#database.query((queries) => findHead(queries, chain));
      const { sequence } = verifier.position;
      const isAhead = head !== null && head.sequence > sequence;
      // Ahead of the same event twice: what it is ahead by is not there.
      if (!isAhead || headWasAheadOf === sequence) return { events, fault: verifier.end(head) };
      headWasAheadOf = sequence;
    }
  }
}
