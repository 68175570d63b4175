/** More than this many changes during one look-up, and it is not remembered; the next one may be. */
const REMEMBERED = 1_024;

/**
 * What changed lately, in the order in which the feed told of it. A look-up notes the position before it reads; what it
 * found may be remembered if nothing about it has changed since. A change that the feed has yet to tell of removes it
 * when it comes.
 */
export class ChangeLog {
  /** Subjects, each at its position modulo the length. */
  readonly #subjects: string[] = new Array(REMEMBERED).fill('');
  #position = 0;
  /** Positions before this one say nothing any more: something was missed, or everything changed. */
  #oldest = 0;
  #following = false;

  /** Where the feed stands; null while it is not followed, and nothing that is read now may be remembered. */
  get position(): number | null {
    return this.#following ? this.#position : null;
  }

  /** From here on no change is missed. */
  follow(): void {
    this.#following = true;
    this.everythingChanged();
  }

  /** From here on changes may be missed. */
  lose(): void {
    this.#following = false;
  }

  changed(subject: string): void {
    this.#position += 1;
    this.#subjects[this.#position % REMEMBERED] = subject;
  }

  everythingChanged(): void {
    this.#position += 1;
    this.#oldest = this.#position;
  }

  /** Whether what was read at a position is still so, as far as the feed has told. */
  unchangedSince(position: number, ...subjects: readonly string[]): boolean {
    if (!this.#following || position < this.#oldest || this.#position - position > REMEMBERED) return false;
    for (let later = position + 1; later <= this.#position; later += 1) {
      if (subjects.includes(this.#subjects[later % REMEMBERED] ?? '')) return false;
    }
    return true;
  }
}
