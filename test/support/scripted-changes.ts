import { type Change, subjectOf } from '../../src/database/change-feed/change.ts';
import type { Changes } from '../../src/database/change-feed/change-feed.ts';
import { ChangeLog } from '../../src/database/change-feed/change-log.ts';

/** A change feed that a test leads by hand: the real log, and a lease that is held for as long as the test says. */
export class ScriptedChanges implements Changes {
  holdsLease = true;
  readonly #log = new ChangeLog();
  readonly #subscribers: ((change: Change) => void)[] = [];

  constructor() {
    this.#log.follow();
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
    this.#tell(change);
  }

  /** The feed's connection is lost … */
  lose(): void {
    this.#log.lose();
    this.holdsLease = false;
    this.#tell({ kind: 'everything-changed' });
  }

  /** … and listens again; the lease is had with the next probe. */
  listen(): void {
    this.#log.follow();
    this.#tell({ kind: 'everything-changed' });
  }

  #tell(change: Change): void {
    for (const subscriber of this.#subscribers) subscriber(change);
  }
}
