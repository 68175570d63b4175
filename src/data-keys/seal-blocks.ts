import { LRUCache } from 'lru-cache';
import type { OwnerId } from './data-key-store.ts';
import type { WrappedDataKey } from './wrapped-data-key.ts';

/** Seals that are not used by then are given up; a data key has enough of them. */
const KEPT_FOR_MS = 60 * 60_000;
const MOST_OWNERS = 10_000;
const SYSTEM = 'system';

interface Block {
  dataKey: WrappedDataKey;
  left: number;
}

/** Seals that were taken from data keys and not used yet: counted in the database before, so that a crash wastes them. */
export class SealBlocks {
  readonly #blocks = new LRUCache<string, Block>({ max: MOST_OWNERS, ttl: KEPT_FOR_MS });

  /** Uses one seal. Undefined when there is none. */
  use(owner: OwnerId): WrappedDataKey | undefined {
    const block = this.#blocks.get(owner ?? SYSTEM);
    if (block === undefined) return undefined;
    block.left -= 1;
    if (block.left === 0) this.#blocks.delete(owner ?? SYSTEM);
    return block.dataKey;
  }

  add(owner: OwnerId, dataKey: WrappedDataKey, seals: number): void {
    this.#blocks.set(owner ?? SYSTEM, { dataKey, left: seals });
  }

  /** Gives up what is left of what was taken with this one, and nothing that was taken since. */
  drop(owner: OwnerId, dataKey: WrappedDataKey): void {
    if (this.#blocks.get(owner ?? SYSTEM)?.dataKey === dataKey) this.#blocks.delete(owner ?? SYSTEM);
  }
}
