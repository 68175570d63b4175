import { randomBytes } from 'node:crypto';
import type { DatabaseServer } from '../server.ts';
import { CHANGES_CHANNEL, type Change, parseChange, subjectOf } from './change.ts';
import { ChangeLog } from './change-log.ts';
import { type Instant, Lease, systemClock } from './lease.ts';
import { Listener } from './listener.ts';

/** A probe at every quarter of the lease: three may be late before it lapses. */
const PROBES_PER_LEASE = 4;
/** So many leases after it was committed, a probe that has not come back will not. */
const DEAF_AFTER_LEASES = 3;
/** A pool that is slow to answer must not fill with probes. */
const PROBES_IN_POOL = 2;

const NONCE_BYTES = 16;

interface Probe {
  sentAt: Instant;
  /** How many probes ago it was committed; null while it is not known to be. */
  committedAgo: number | null;
}

/** Sends a notification through the pool; settles when it is committed, or its connection is free again. */
export type Notify = (channel: string, payload: string) => Promise<unknown>;

export interface ChangeFeedOptions {
  /** The server itself: a pooler cannot LISTEN. */
  server: Pick<DatabaseServer, 'url'>;
  notify: Notify;
  leaseMs: number;
  /** Told when the lease is had, and when it is lost, once each time. */
  onLease?: (held: boolean) => void;
  /** Told of every change, this replica's own included; not of a connection that was lost. */
  onChange?: (change: Change) => void;
  /** Told how long each probe took to come back, in ms. */
  onProbe?: (roundTripMs: number) => void;
}

/** What answering from memory needs to know of changes. */
export interface Changes {
  /** Whether memory may be answered from, now. */
  readonly holdsLease: boolean;
  /** See ChangeLog. */
  readonly position: number | null;
  unchangedSince(position: number, ...subjects: readonly string[]): boolean;
  /** Every change, this replica's own included, once or more. A connection that is lost is a change of everything. */
  subscribe(subscriber: (change: Change) => void): void;
  /** This replica's own change, told here after its commit and before its answer. */
  announce(change: Change): void;
}

/** Where no feed can be had: nothing is ever answered from memory. */
export const noChangeFeed: Changes = {
  holdsLease: false,
  position: null,
  unchangedSince: () => false,
  subscribe() {},
  announce() {},
};

/**
 * What every replica learns of every change, and the lease that says whether it has learned of all of them.
 *
 * A probe is a notification that this replica sends to itself: through the pool, on a channel of its own, and received on
 * the feed's connection. Notifications keep the order in which they were committed, so one that arrives proves that every
 * change committed before it was sent has arrived, that both connections reach one database, and that it is a primary.
 */
export class ChangeFeed implements Changes {
  readonly #options: ChangeFeedOptions;
  readonly #listener: Listener;
  readonly #probeChannel = `key_service_probe_${randomBytes(8).toString('hex')}`;
  readonly #log = new ChangeLog();
  readonly #lease: Lease;
  readonly #clock: () => Instant = systemClock;
  readonly #subscribers: ((change: Change) => void)[] = [];
  /** The probes on their way, by payload. */
  readonly #probes = new Map<string, Probe>();
  #inPool = 0;
  #timer: NodeJS.Timeout | undefined;
  #told = false;
  #firstLease: (() => void) | undefined;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    this.#lease = new Lease(options.leaseMs, this.#clock);
    this.#listener = new Listener({
      server: options.server,
      channels: [CHANGES_CHANNEL, this.#probeChannel],
      onNotification: (channel, payload) => this.#received(channel, payload),
      onListening: () => {
        this.#log.follow();
        // Reads that began before are nobody's but their askers': what changed meanwhile was not told here.
        this.#tell({ kind: 'everything-changed' });
        void this.#probe();
      },
      onLost: () => this.#lost(),
    });
  }

  get holdsLease(): boolean {
    return this.#lease.held;
  }

  get position(): number | null {
    return this.#log.position;
  }

  unchangedSince(position: number, ...subjects: readonly string[]): boolean {
    return this.#log.unchangedSince(position, ...subjects);
  }

  subscribe(subscriber: (change: Change) => void): void {
    this.#subscribers.push(subscriber);
  }

  announce(change: Change): void {
    const subject = subjectOf(change);
    if (subject === null) this.#log.everythingChanged();
    else this.#log.changed(subject);
    this.#options.onChange?.(change);
    this.#tell(change);
  }

  /** Begins to follow. @returns whether there is a lease within `limitMs`; if not, it goes on trying */
  async start(limitMs: number): Promise<boolean> {
    this.#timer = setInterval(() => this.#tick(), this.#options.leaseMs / PROBES_PER_LEASE);
    this.#listener.start();
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, limitMs);
      this.#firstLease = () => {
        clearTimeout(limit);
        resolve();
      };
    });
    return this.#lease.held;
  }

  stop(): void {
    clearInterval(this.#timer);
    // Giving up a lease is no loss that anybody has to be told of.
    this.#told = false;
    this.#listener.end();
    this.#lease.end();
  }

  #tick(): void {
    this.#tellLease();
    if (this.#log.position === null) return;
    // Counted by the ticks of this process: time that it was stopped for says nothing about the connection.
    for (const [payload, probe] of this.#probes) {
      if (probe.committedAgo !== null) probe.committedAgo += 1;
      if ((probe.committedAgo ?? 0) > DEAF_AFTER_LEASES * PROBES_PER_LEASE) {
        this.#listener.renew();
        return;
      }
      if (probe.committedAgo === null && !this.#mayRenew(probe)) this.#probes.delete(payload);
    }
    void this.#probe();
  }

  async #probe(): Promise<void> {
    if (this.#inPool === PROBES_IN_POOL) return;
    // Anyone who may connect to the database can notify; nobody else knows this.
    const payload = randomBytes(NONCE_BYTES).toString('hex');
    const probe: Probe = { sentAt: this.#clock(), committedAgo: null };
    this.#probes.set(payload, probe);
    try {
      this.#inPool += 1;
      await this.#options.notify(this.#probeChannel, payload);
      probe.committedAgo = 0;
    } catch {
      // The database is busy or away; a later probe will tell.
    } finally {
      this.#inPool -= 1;
    }
  }

  #mayRenew({ sentAt }: Probe): boolean {
    return this.#clock().monotonicMs < sentAt.monotonicMs + this.#options.leaseMs;
  }

  #received(channel: string, payload: string): void {
    if (channel === CHANGES_CHANNEL) {
      this.announce(parseChange(payload));
      return;
    }
    const probe = this.#probes.get(payload);
    if (probe === undefined) return;
    this.#probes.delete(payload);
    this.#lease.renew(probe.sentAt);
    this.#options.onProbe?.(this.#clock().monotonicMs - probe.sentAt.monotonicMs);
    this.#tellLease();
    if (this.#lease.held) this.#firstLease?.();
  }

  #lost(): void {
    this.#log.lose();
    this.#lease.end();
    this.#probes.clear();
    this.#tell({ kind: 'everything-changed' });
    this.#tellLease();
  }

  #tell(change: Change): void {
    for (const subscriber of this.#subscribers) subscriber(change);
  }

  #tellLease(): void {
    if (this.#lease.held === this.#told) return;
    this.#told = !this.#told;
    this.#options.onLease?.(this.#told);
  }
}
