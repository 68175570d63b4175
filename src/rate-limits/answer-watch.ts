const TICK_MS = 10;
/** Without any answer: 50 ms. */
const SILENT_TICKS = 5;
/** A quarter of a second for one of many, while others are answered. */
const LATE_TICKS = 25;

/**
 * Finds out that questions to a connection are not answered in time. Time is counted in ticks of Node's own loop: a process
 * that is held up itself, and reads what has come only later, makes fewer of them.
 */
export class AnswerWatch {
  readonly #onLate: () => void;
  #asked = 0;
  #answered = 0;
  #silentTicks = 0;
  /** How many had been asked at each of the last ticks: answers come in the order of the questions. */
  #askedAt: number[] = [];
  #ticking: NodeJS.Timeout | undefined;

  /** @param onLate has to make what is still asked fail */
  constructor(onLate: () => void) {
    this.#onLate = onLate;
  }

  async watch<T>(question: Promise<T>): Promise<T> {
    this.#asked += 1;
    // Node reads from sockets before what is immediate: what is there to be read is in time.
    this.#ticking ??= setInterval(() => setImmediate(() => this.#tick()), TICK_MS).unref();
    try {
      return await question;
    } finally {
      this.#answered += 1;
      this.#silentTicks = 0;
    }
  }

  #tick(): void {
    if (this.#answered === this.#asked) {
      this.#rest();
      return;
    }
    this.#silentTicks += 1;
    this.#askedAt.push(this.#asked);
    const due = this.#askedAt.length > LATE_TICKS ? (this.#askedAt.shift() ?? 0) : 0;
    if (this.#silentTicks < SILENT_TICKS && this.#answered >= due) return;
    this.#rest();
    this.#onLate();
  }

  #rest(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    this.#silentTicks = 0;
    this.#askedAt = [];
  }
}
