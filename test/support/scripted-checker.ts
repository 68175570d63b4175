import type { CheckOutcome, ProviderChecker } from '../../src/providers/provider-checker.ts';

/** Providers that answer what a test says, when it says so. */
export class ScriptedChecker implements ProviderChecker {
  /** Whose secrets were asked about, in order. */
  readonly asked: { provider: string; secret: string }[] = [];
  /** What they answer. */
  outcome: CheckOutcome = 'valid';
  #waiting: (() => void)[] = [];
  #holds = false;

  canBeAsked(): boolean {
    return true;
  }

  async check(provider: string, secret: string): Promise<CheckOutcome> {
    this.asked.push({ provider, secret });
    if (this.#holds) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.outcome;
  }

  /** From now on nobody is answered … */
  hold(): void {
    this.#holds = true;
  }

  /** … until now. */
  release(): void {
    this.#holds = false;
    for (const answer of this.#waiting.splice(0)) answer();
  }

  /** So many questions wait for their answer. */
  get waiting(): number {
    return this.#waiting.length;
  }
}
