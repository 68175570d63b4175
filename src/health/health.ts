import type { DataKeys } from '../data-keys/data-keys.ts';
import { opensSystemKey, readSystemKey } from '../data-keys/master-key-proof.ts';
import type { Database } from '../database/database.ts';
import { migrationsApplied } from '../database/migrations.ts';

export type CheckState = 'ok' | 'unavailable' | 'disabled';

export interface Readiness {
  status: 'ok' | 'unavailable';
  checks: {
    database: CheckState;
    migrations: CheckState;
    /** Of a master key that is out of reach it is shown, and makes no replica less ready: none can reach it. */
    encryptionKey: CheckState;
    /** `unavailable`: the lease is not held. `disabled`: there is no feed. In both every validation reads the database. */
    changeFeed: CheckState;
    /** Shown for people; Clerk in trouble makes no replica less ready. */
    clerk: CheckState;
  };
}

interface Dependencies {
  database: Database;
  dataKeys: DataKeys;
  /** Whether its lease is held. */
  changeFeed: 'disabled' | (() => boolean);
  clerk: () => CheckState;
  isDraining: () => boolean;
  onChange: (able: boolean, checks: Readiness['checks'], error: unknown) => void;
}

/** A load balancer's question has its answer within the usual second; a master key that is far away has 0.4 s of it. */
const READINESS_LIMIT_MS = 550;

/** Tells whether this replica can do its work now. Questions that come at once share one look. */
export class Health {
  readonly #dependencies: Dependencies;
  #looking: Promise<Readiness> | undefined;
  #able = true;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  readiness(): Promise<Readiness> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<Readiness> {
    const { database, dataKeys, changeFeed, clerk, isDraining } = this.#dependencies;
    const checks: Readiness['checks'] = {
      database: 'unavailable',
      migrations: 'unavailable',
      encryptionKey: 'unavailable',
      changeFeed: changeFeed === 'disabled' ? 'disabled' : changeFeed() ? 'ok' : 'unavailable',
      clerk: clerk(),
    };
    let isMasterKeyAway = false;
    try {
      const system = await database.query(async (queries) => {
        checks.migrations = (await migrationsApplied(queries)) ? 'ok' : 'unavailable';
        checks.database = 'ok';
        return readSystemKey(queries);
      }, READINESS_LIMIT_MS);
      // A wrong one throws.
      isMasterKeyAway = (await opensSystemKey(dataKeys, system)) !== null;
      if (!isMasterKeyAway) checks.encryptionKey = 'ok';
      this.#tellChange(checks, undefined);
    } catch (error) {
      // What failed is what was not yet set to ok.
      this.#tellChange(checks, error);
    }
    const { clerk: _, encryptionKey, ...others } = checks;
    const needed = isMasterKeyAway ? others : { ...others, encryptionKey };
    const ready = !isDraining() && !Object.values(needed).includes('unavailable');
    return { status: ready ? 'ok' : 'unavailable', checks };
  }

  /** Once when it turns bad and once when it turns good again, however often it is asked in between. */
  #tellChange(checks: Readiness['checks'], error: unknown): void {
    const able = error === undefined && checks.migrations === 'ok';
    if (able !== this.#able) this.#dependencies.onChange(able, checks, error);
    this.#able = able;
  }
}
