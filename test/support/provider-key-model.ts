import type { CheckOutcome } from '../../src/providers/provider-checker.ts';

interface Version {
  version: number;
  secret: string;
  status: string;
}

/** An answer as far as the model foretells it. */
export interface Foretold {
  status: number;
  code?: string;
  version?: number;
}

const KEPT = 10;
const NO_KEY: Foretold = { status: 404, code: 'provider_key_not_found' };
const NO_VERSION: Foretold = { status: 404, code: 'provider_key_version_not_found' };

/** What the history of a provider key is promised to be, in as few words as possible. */
export class ProviderKeyModel {
  /** Newest first. */
  versions: Version[] = [];
  counted = 0;

  get current(): Version | undefined {
    return this.versions[0];
  }

  /** @param outcome what the provider says, where it is asked */
  save(secret: string, outcome?: CheckOutcome): Foretold {
    const isCurrent = this.current?.secret === secret;
    if (isCurrent) this.#note(outcome);
    if (outcome === 'rejected') return { status: 422, code: 'provider_key_rejected' };
    if (isCurrent) return { status: 200, version: this.counted };
    const status = this.current === undefined ? 201 : 200;
    return { status, version: this.#append(secret, outcome ?? 'unchecked') };
  }

  rollback(version: number): Foretold {
    return this.#with(version, (wanted) => {
      const isCurrent = wanted.secret === this.current?.secret;
      return { status: 200, version: isCurrent ? this.counted : this.#append(wanted.secret, wanted.status) };
    });
  }

  report(version: number, outcome: string): Foretold {
    return this.#with(version, (reported) => {
      reported.status = outcome;
      return { status: 200, version };
    });
  }

  check(outcome: CheckOutcome): Foretold {
    if (this.current === undefined) return NO_KEY;
    this.#note(outcome);
    return { status: 200, version: this.counted };
  }

  remove(): Foretold {
    this.versions = [];
    return { status: 200 };
  }

  #note(outcome: CheckOutcome | undefined): void {
    if (this.current !== undefined && outcome !== undefined && outcome !== 'unchecked') this.current.status = outcome;
  }

  #append(secret: string, status: string): number {
    this.counted += 1;
    this.versions = [{ version: this.counted, secret, status }, ...this.versions].slice(0, KEPT);
    return this.counted;
  }

  #with(version: number, act: (found: Version) => Foretold): Foretold {
    if (this.current === undefined) return NO_KEY;
    const found = this.versions.find((kept) => kept.version === version);
    return found === undefined ? NO_VERSION : act(found);
  }
}
