import { LeasedCache } from '../cache/leased-cache.ts';
import { REVEAL_FREEZES } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { ServiceError } from '../errors.ts';
import { EVERYWHERE, prepareListFrozen } from './freeze-store.ts';

/** What passing takes at most, in ms, where the database has to be asked. */
export const PASS_LIMIT_MS = 250;

/** Few are frozen at a time; of more than some ten thousand none is remembered, and every reveal asks the database. */
const MAX_BYTES = 1024 * 1024;
const FIXED_BYTES = 1_024;
/** An id in a set. */
const SCOPE_BYTES = 100;

/** Lets reveals pass unless they are frozen: by memory while the change feed vouches for it, else by the database. */
export class RevealGate {
  readonly #frozen: LeasedCache<ReadonlySet<string>>;
  readonly #list: () => Promise<string[]>;

  constructor({ database, changes }: { database: Database; changes: Changes }) {
    this.#list = prepareListFrozen(database);
    this.#frozen = new LeasedCache({
      changes,
      maxBytes: MAX_BYTES,
      sizeOf: ({ size }) => FIXED_BYTES + SCOPE_BYTES * size,
      maxAbsent: 1,
      readLimitMs: PASS_LIMIT_MS,
    });
  }

  /**
   * To be asked before a reveal is recorded, and once more when nothing is left to be waited for before the secret leaves: who
   * froze reveals meanwhile has been told that they are. A promise only where the database has to be asked.
   *
   * @param organizationId for whom it is; null for nobody's
   * @throws ServiceError `reveals_frozen`; `database_unavailable` when nobody can say whether they are
   */
  pass(organizationId: string | null): undefined | Promise<undefined> {
    const known = this.#frozen.get(REVEAL_FREEZES);
    if (known) return refuseFrozen(known, organizationId);
    const read = this.#frozen.read(REVEAL_FREEZES, async () => ({
      value: new Set(await this.#list()),
      organizationId: null,
    }));
    return read.then((frozen) => refuseFrozen(frozen ?? new Set(), organizationId));
  }
}

function refuseFrozen(frozen: ReadonlySet<string>, organizationId: string | null): undefined {
  if (frozen.size === 0) return undefined;
  if (frozen.has(EVERYWHERE)) throw revealsFrozen('Reveals of secrets are frozen everywhere until further notice.');
  if (organizationId !== null && frozen.has(organizationId)) {
    throw revealsFrozen('Reveals of secrets are frozen for this organisation until further notice.');
  }
  return undefined;
}

function revealsFrozen(sentence: string): ServiceError {
  return new ServiceError('reveals_frozen', sentence);
}
