import { type Found, LeasedCache } from '../../src/cache/leased-cache.ts';
import type { Change } from '../../src/database/change-feed/change.ts';
import { ScriptedChanges } from './scripted-changes.ts';

/** What two requests for one key, a change of what they read, and the change feed do, one thing at a time. */
export type Step =
  | `${'asks' | 'snapshot' | 'answer' | 'fill'} ${1 | 2}`
  | 'commit'
  | 'announce'
  | 'notification'
  | 'lease lapses'
  | 'lease is back'
  | 'feed is lost'
  | 'feed listens';

interface Value {
  text: string;
}

export interface ChangeOfKey {
  key: string;
  before: Found<Value>;
  after: Found<Value>;
  change: Change;
}

/** Every order in which the steps of several sequences can happen, each sequence in its own order. */
export function interleavings<T>(...sequences: readonly (readonly T[])[]): T[][] {
  if (sequences.every(({ length }) => length === 0)) return [[]];
  return sequences.flatMap(([first, ...rest], index) =>
    first === undefined ? [] : interleavings(...sequences.with(index, rest)).map((others) => [first, ...others]),
  );
}

/** Longer than any chain of promises in the cache. */
const MICROTASKS = 12;

/** One order of the steps, on a real cache whose look-ups, database and change feed are led by hand. */
export class Race {
  readonly violations: string[] = [];
  readonly #changes = new ScriptedChanges();
  readonly #cache: LeasedCache<Value>;
  readonly #what: ChangeOfKey;
  readonly #lookUps = new Map<number, { snapshot: Found<Value> | undefined; end: (found: Found<Value>) => void }>();
  #asked = 0;
  #answered = 0;
  #committed = false;
  /** This replica has been told of the change, or that it may have missed something. */
  #told = false;

  constructor(what: ChangeOfKey, { lease = true }: { lease?: boolean } = {}) {
    this.#what = what;
    this.#changes.holdsLease = lease;
    this.#cache = new LeasedCache({
      changes: this.#changes,
      maxBytes: 8 * 512,
      sizeOf: () => 512,
      maxAbsent: 8,
      readLimitMs: 10_000,
    });
  }

  /** Lets memory have what the database says before the change. */
  async warm(): Promise<void> {
    await this.#cache.read(this.#what.key, async () => this.#what.before);
  }

  async run(order: readonly Step[]): Promise<void> {
    for (const step of order) {
      const happened = this.#take(step);
      if (happened !== undefined) await happened;
      this.#checkMemory(step);
    }
    await this.#finish();
  }

  #take(step: Step): Promise<void> | undefined {
    const [what, number] = step.split(' ');
    if (what === 'asks') this.#ask(Number(number));
    else if (what === 'snapshot') this.#snapshot(Number(number));
    else if (what === 'answer') this.#answer(Number(number));
    else if (what === 'fill') return settle();
    else this.#change(step);
    return undefined;
  }

  #change(step: Step): void {
    if (step === 'commit') this.#committed = true;
    if (step === 'announce' || step === 'notification') this.#changes.announce(this.#what.change);
    if (step === 'lease lapses') this.#changes.holdsLease = false;
    if (step === 'lease is back') this.#changes.holdsLease = true;
    if (step === 'feed is lost') this.#changes.lose();
    if (step === 'feed listens') this.#changes.listen();
    if (['announce', 'notification', 'feed listens'].includes(step)) this.#told ||= this.#committed;
  }

  /** As the service asks: memory first, then a read. */
  #ask(number: number): void {
    // Without the lease nobody vouches for anything, so that only a read that begins now will do.
    const mustBeNew = this.#told || (this.#committed && !this.#changes.holdsLease);
    const wrong = mustBeNew ? this.#what.before.value : undefined;
    const check = (answer: Value | null) => {
      this.#answered += 1;
      if (answer === wrong) this.violations.push(`request ${number} was answered with what was no longer so`);
      if (answer !== this.#what.before.value && answer !== this.#what.after.value) {
        this.violations.push(`request ${number} was answered with what never was so`);
      }
    };
    this.#asked += 1;
    const remembered = this.#cache.get(this.#what.key);
    if (remembered !== undefined) check(remembered);
    else void this.#cache.read(this.#what.key, () => this.#lookUp(number)).then(check);
  }

  #lookUp(number: number): Promise<Found<Value>> {
    return new Promise((end) => this.#lookUps.set(number, { snapshot: undefined, end }));
  }

  #snapshot(number: number): void {
    const lookUp = this.#lookUps.get(number);
    if (lookUp !== undefined) lookUp.snapshot ??= this.#committed ? this.#what.after : this.#what.before;
  }

  /** The answer has come; what follows from it happens at the next occasion, or with `fill`. */
  #answer(number: number): void {
    this.#snapshot(number);
    const lookUp = this.#lookUps.get(number);
    if (lookUp?.snapshot !== undefined) lookUp.end(lookUp.snapshot);
    this.#lookUps.delete(number);
  }

  #checkMemory(after: string): void {
    const remembered = this.#cache.get(this.#what.key);
    if (remembered === undefined) return;
    if (!this.#changes.holdsLease) this.violations.push(`memory answered without the lease, after ${after}`);
    if (this.#told && remembered === this.#what.before.value) {
      this.violations.push(`memory answered with what was no longer so, after ${after}`);
    }
    if (!this.#committed && remembered !== this.#what.before.value) {
      this.violations.push(`memory answered with what was not so yet, after ${after}`);
    }
  }

  /** Everybody is answered, and from then on memory knows how things stand. */
  async #finish(): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      for (const number of [...this.#lookUps.keys()]) this.#answer(number);
      await settle();
    }
    if (this.#answered !== this.#asked) this.violations.push('a request was never answered');
    this.#changes.holdsLease = true;
    this.#checkMemory('all');
    const { key, after } = this.#what;
    const last = this.#cache.get(key) ?? (await this.#cache.read(key, async () => after));
    if (last !== after.value) this.violations.push('the last request was answered with what was no longer so');
    if (this.#cache.get(key) !== after.value) this.violations.push('how things stand was not remembered in the end');
  }
}

async function settle(): Promise<void> {
  for (let n = 0; n < MICROTASKS; n += 1) await undefined;
}
