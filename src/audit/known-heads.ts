import { LRUCache } from 'lru-cache';
import type { Head } from './event.ts';

/** Some 3 MiB. */
const MOST_KNOWN = 10_000;
/** A chain that somebody else was found to write to as well is read anew each time, for so long. */
const SHARED_FOR_MS = 10_000;

/**
 * The heads of chains as this replica has left them. It may be wrong of each of them, and is asked for them only where
 * that is found out.
 */
export class KnownHeads {
  readonly #heads = new LRUCache<string, Head>({ max: MOST_KNOWN });
  readonly #shared = new LRUCache<string, true>({ max: MOST_KNOWN, ttl: SHARED_FOR_MS });

  find(chain: string): Head | undefined {
    return this.#heads.get(chain);
  }

  /** Only of what has been committed. */
  note(heads: readonly Head[]): void {
    for (const head of heads) {
      if (!this.#shared.has(head.chain)) this.#heads.set(head.chain, head);
    }
  }

  /** They are not known any more: nobody can say whether what was chained to them is stored. */
  forget(chains: Iterable<string>): void {
    for (const chain of chains) this.#heads.delete(chain);
  }

  /** Somebody else has moved them. */
  noteShared(chains: Iterable<string>): void {
    for (const chain of chains) {
      this.#heads.delete(chain);
      this.#shared.set(chain, true);
    }
  }
}
