import { LRUCache } from 'lru-cache';
import { type Change, subjectOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import { within } from '../time-limit.ts';
import { SingleFlight } from './single-flight.ts';

/** What a look-up found: the value, null for nothing, and the organisation whose changes it depends on, if any. */
export interface Found<V> {
  value: V | null;
  organizationId: string | null;
}

/** Of one organisation that something is remembered of. */
interface Group {
  id: string;
  /** Nothing about the organisation has changed since. */
  current: boolean;
  members: number;
}

/** Something that is remembered, of the time since the feed was last lost, and of an organisation or none. */
interface Entry<V> {
  value: V;
  group: Group | null;
  generation: number;
}

export interface LeasedCacheOptions<V> {
  changes: Changes;
  /** For what was found. */
  maxBytes: number;
  /** What a value takes with all that belongs to it, in bytes. */
  sizeOf: (value: V) => number;
  /** How long a reader waits, for other readers too. */
  readLimitMs: number;
  /** For what was not found; apart, so that asking for what is not there pushes out nothing that is. */
  maxAbsent: number;
}

export interface CacheStatistics {
  hits: number;
  misses: number;
  evictions: number;
  entries: number;
  bytes: number;
  /** Of which something is remembered. */
  organizations: number;
}

/** lru-cache allocates its lists for so many at the start; nothing that is remembered is smaller. */
const SMALLEST_ENTRY_BYTES = 512;

/**
 * Remembers what the database said, for as long as the change feed vouches for it: whoever asks is answered from memory
 * only while the lease is held, and what a change concerns is forgotten when the feed tells of it. Never remembers a
 * failure.
 */
export class LeasedCache<V extends object> {
  readonly #changes: Changes;
  readonly #found: LRUCache<string, Entry<V>>;
  readonly #absent: LRUCache<string, Entry<null>>;
  readonly #groups = new Map<string, Group>();
  readonly #flights = new SingleFlight<V | null>();
  readonly #readLimitMs: number;
  /** Everything from before is not answered with any more; that there was something is worth knowing, see `has`. */
  #generation = 0;
  /** Found, and of this generation. */
  #current = 0;
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor({ changes, maxBytes, sizeOf, maxAbsent, readLimitMs }: LeasedCacheOptions<V>) {
    this.#changes = changes;
    this.#readLimitMs = readLimitMs;
    this.#found = new LRUCache({
      max: Math.ceil(maxBytes / SMALLEST_ENTRY_BYTES),
      maxSize: maxBytes,
      sizeCalculation: ({ value }) => Math.max(SMALLEST_ENTRY_BYTES, sizeOf(value)),
      onInsert: ({ generation }) => {
        if (generation === this.#generation) this.#current += 1;
      },
      dispose: ({ group, generation }, _key, reason) => {
        if (reason === 'evict') this.#evictions += 1;
        if (generation === this.#generation) this.#current -= 1;
        this.#leave(group);
      },
    });
    this.#absent = new LRUCache({ max: maxAbsent, dispose: ({ group }) => this.#leave(group) });
    changes.subscribe((change) => this.#forget(change));
  }

  /** From memory, without a promise: the value, null for what is known not to be there, undefined for what has to be read. */
  get(key: string): V | null | undefined {
    const known = this.#changes.holdsLease ? this.#remembered(key) : undefined;
    if (known !== undefined) this.#hits += 1;
    return known;
  }

  /** Whether something was found under this key before, though it may not be answered with now. */
  has(key: string): boolean {
    return this.#found.has(key);
  }

  /**
   * Reads what memory does not have.
   *
   * @throws whatever `lookUp` throws; ServiceError `database_unavailable` when it takes too long
   */
  read(key: string, lookUp: () => Promise<Found<V>>): Promise<V | null> {
    this.#misses += 1;
    // With the lease a read under way is as good as a remembered one. Without it, it may be older than a change that
    // its asker knows of.
    const read = this.#flights.run(key, this.#changes.holdsLease, async () => {
      const { position } = this.#changes;
      const found = await lookUp();
      if (position !== null) this.#remember(key, found, position);
      return found.value;
    });
    return within(this.#readLimitMs, read, () => {
      // Who asks from now on need not wait for the same.
      this.#flights.detach(key);
      return databaseUnavailable();
    });
  }

  get statistics(): CacheStatistics {
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      entries: this.#current + this.#absent.size,
      bytes: this.#found.calculatedSize,
      organizations: this.#groups.size,
    };
  }

  #remembered(key: string): V | null | undefined {
    const entry = this.#found.get(key) ?? this.#absent.get(key);
    if (entry === undefined || entry.generation !== this.#generation) return undefined;
    return entry.group?.current === false ? undefined : entry.value;
  }

  #remember(key: string, { value, organizationId }: Found<V>, position: number): void {
    if (!this.#changes.unchangedSince(position, key, organizationId ?? key)) return;
    const group = organizationId === null ? null : this.#join(organizationId);
    if (value === null) {
      this.#found.delete(key);
      this.#absent.set(key, { value: null, group, generation: this.#generation });
    } else {
      this.#absent.delete(key);
      this.#found.set(key, { value, group, generation: this.#generation });
      // One that is larger than all there is room for was not taken.
      if (!this.#found.has(key)) this.#leave(group);
    }
  }

  #forget(change: Change): void {
    const subject = subjectOf(change);
    if (subject === null) {
      this.#generation += 1;
      this.#current = 0;
      this.#absent.clear();
      this.#groups.clear();
      this.#flights.detachAll();
      return;
    }
    this.#found.delete(subject);
    this.#absent.delete(subject);
    const group = this.#groups.get(subject);
    if (group !== undefined) group.current = false;
    this.#groups.delete(subject);
    // Whose keys are being read just now is not known until they have been.
    if (change.kind === 'organization-changed') this.#flights.detachAll();
    else this.#flights.detach(subject);
  }

  #join(organizationId: string): Group {
    let group = this.#groups.get(organizationId);
    if (group === undefined) {
      group = { id: organizationId, current: true, members: 0 };
      this.#groups.set(organizationId, group);
    }
    group.members += 1;
    return group;
  }

  #leave(group: Group | null): void {
    if (group === null) return;
    group.members -= 1;
    if (group.members === 0 && this.#groups.get(group.id) === group) this.#groups.delete(group.id);
  }
}
