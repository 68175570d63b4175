import type { Answering } from '../answering.ts';
import type { ServiceCaller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import type { ProviderChecker } from '../providers/provider-checker.ts';
import { askBeforeSave } from './check-before-save.ts';
import { READ_LIMIT_MS } from './key-opener.ts';
import { type KeyState, type ShownStatus, UNCHECKED } from './key-state.ts';
import { keyNotFound, keyNotFoundToChange, versionNotFound } from './not-found.ts';
import { ensureOwner, type Owner } from './owner.ts';
import { findSealed, listVersions } from './provider-key-store.ts';
import { SealedKey } from './sealed-key.ts';
import {
  beginChange,
  type CurrentVersion,
  type NextVersion,
  noteState,
  type Unchanged,
  VersionWriter,
  type VersionWriterOptions,
} from './version-writer.ts';

export interface ListedVersion extends Omit<KeyState, 'status'> {
  version: number;
  maskedKey: string;
  current: boolean;
  status: ShownStatus;
  /** When it was saved. */
  createdAt: Date;
}

export interface WantedSecret {
  owner: Owner;
  provider: string;
  secret: string;
  /** Whether the provider is asked first. */
  check: boolean;
}

interface Dependencies extends VersionWriterOptions {
  checker: ProviderChecker;
}

/** The history of provider keys, the platform's own too: which versions there are, and what becomes the next one. */
export class KeyVersions {
  readonly #dependencies: Dependencies;
  readonly #writer: VersionWriter;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    this.#writer = new VersionWriter(dependencies);
  }

  /** Newest first; none for a key that is not there. What does not open is listed as in `ProviderKeys.list`. */
  async list(caller: ServiceCaller, owner: Owner, provider: string): Promise<ListedVersion[]> {
    const { database, opener } = this.#dependencies;
    const rows = await database.query((queries) => listVersions(queries, owner, provider), READ_LIMIT_MS);
    return Promise.all(
      rows.map(async (row) => {
        const { maskedKey, status } = await opener.mask(caller, new SealedKey(row), row.status);
        const { version, isCurrent: current, lastCheckedAt, createdAt } = row;
        return { version, maskedKey, current, status, lastCheckedAt, createdAt };
      }),
    );
  }

  /**
   * Saves a secret as the next version. The same secret as the current one keeps its version, and writes nothing but what
   * its provider says of it.
   *
   * The provider is asked before anything is stored, so that of a key that it rejects there is nothing but the record that
   * the provider got it, and no connection waits.
   *
   * @throws ServiceError `provider_key_rejected`
   */
  async save<R>(caller: ServiceCaller, wanted: WantedSecret, answering: Answering<CurrentVersion, R>): Promise<R> {
    const msLeft = beginChange();
    const state = wanted.check ? await askBeforeSave(this.#dependencies, caller, wanted, msLeft) : UNCHECKED;
    return this.#writer.write(caller, msLeft, () => this.#prepare(caller, wanted, state), answering);
  }

  /**
   * Makes the secret of an earlier version the current one again, as the next version: no version number ever names two
   * secrets. What is known of it stays known. Writes nothing when it is the current one already.
   *
   * @throws ServiceError `provider_key_not_found`, `provider_key_version_not_found`, `provider_key_unreadable` or
   * `organization_deleted`
   */
  async rollback<R>(
    caller: ServiceCaller,
    { owner, provider, version }: { owner: Owner; provider: string; version: number },
    answering: Answering<CurrentVersion, R>,
  ): Promise<R> {
    const { database, dataKeys, opener } = this.#dependencies;
    const prepare = async () => {
      const rows = await database.query(async (queries) => {
        const kept = await listVersions(queries, owner, provider, version);
        if (kept.length === 0) throw await keyNotFoundToChange(queries, owner);
        return kept;
      });
      const current = rows.find((row) => row.isCurrent);
      if (current === undefined) throw keyNotFound(owner);
      const wanted = rows.find((row) => row.version === version);
      if (wanted === undefined) throw versionNotFound();
      const secret = await opener.open(caller, new SealedKey(wanted));
      if (wanted === current || (await this.#writer.holds(caller, current, secret))) {
        return { secret, unchanged: current };
      }
      const { organizationId } = wanted;
      const dataKey = await dataKeys.forSealing(organizationId);
      return { secret, organizationId, provider, dataKey, differsFrom: current.version, from: { version } };
    };
    return this.#writer.write(caller, beginChange(), prepare, answering);
  }

  async #prepare(
    caller: ServiceCaller,
    { owner, provider, secret }: WantedSecret,
    state: KeyState,
  ): Promise<Unchanged | NextVersion> {
    const { database, audit, dataKeys } = this.#dependencies;
    const current = await database.query((queries) => findSealed(queries, owner, provider));
    const isUnchanged = current !== undefined && (await this.#writer.holds(caller, current, secret));
    if (isUnchanged && state.lastCheckedAt !== null) {
      await audit.change(caller, (queries) => noteState(queries, current, state));
    }
    if (state.status === 'rejected') throw rejected();
    if (isUnchanged) {
      const { status } = state.lastCheckedAt === null ? current : state;
      return { secret, unchanged: { version: current.version, status } };
    }
    const organizationId =
      current === undefined ? await database.query((queries) => ensureOwner(queries, owner)) : current.organizationId;
    const dataKey = await dataKeys.forSealing(organizationId);
    return { secret, organizationId, provider, dataKey, differsFrom: current?.version ?? null, from: { state } };
  }
}

function rejected(): ServiceError {
  return new ServiceError('provider_key_rejected', 'The provider rejects this key; it was not saved.');
}
