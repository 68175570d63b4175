/** A replica by its place in a list, or a connection past all of them. */
type Author = number | 'sql';

interface Version<T> {
  value: T;
  /** When its change was asked for; it may have happened from then on. */
  askedAt: number;
  /** When its change was answered; it had happened by then. */
  answeredAt: number;
  author: Author;
}

export interface Question {
  replica: number;
  askedAt: number;
  answeredAt: number;
}

/** What something was, and when, as far as those know who changed it one after the other. */
export class Timeline<T> {
  readonly #versions: Version<T>[];
  readonly #leaseMs: number;

  /** @param initially what it has always been */
  constructor(initially: T, leaseMs: number) {
    const always = Number.NEGATIVE_INFINITY;
    this.#versions = [{ value: initially, askedAt: always, answeredAt: always, author: 'sql' }];
    this.#leaseMs = leaseMs;
  }

  get newest(): T | undefined {
    return this.#versions.at(-1)?.value;
  }

  changed(version: Version<T>): Version<T> {
    this.#versions.push(version);
    return version;
  }

  /**
   * What a replica may answer: what it may have been at some moment from a lease before the question until the answer. The
   * replica that made a change knows of it from its answer on.
   */
  allowed({ replica, askedAt, answeredAt }: Question): T[] {
    const knownFrom = ({ author, answeredAt: changedAt }: Version<T>) =>
      author === replica ? changedAt : changedAt + this.#leaseMs;
    const first = this.#versions.findLastIndex((version) => knownFrom(version) <= askedAt);
    return this.#versions
      .slice(Math.max(first, 0))
      .filter((version) => version.askedAt <= answeredAt)
      .map(({ value }) => value);
  }
}
