import { uuidv7 } from 'uuidv7';
import type { LeasedCache } from '../cache/leased-cache.ts';
import type { ApiKeyCaller, Caller, ServiceCaller } from '../caller.ts';
import { DataKeyReplaced, type DataKeys, type SealingKey } from '../data-keys/data-keys.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import type { Queries } from '../database/queries.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import { seal } from '../encryption/sealed-secret.ts';
import { ServiceError } from '../errors.ts';
import { ensureOrganization, requireLiving } from '../organizations/organizations.ts';
import { within } from '../time-limit.ts';
import type { LastUsed } from '../usage/last-used.ts';
import { HoldersKeys, type HoldersKeysOptions } from './holders-keys.ts';
import { FULLY_MASKED, maskSecret } from './masking.ts';
import { destroySecret, findSealed, isLive, listSealed, lockRow, storeVersion } from './provider-key-store.ts';
import { placeOf, SealedKey } from './sealed-key.ts';

/**
 * `unreadable`: it does not open. `unavailable`: it cannot be opened just now, because its master key cannot be reached.
 * Nothing is known of the others until their providers are asked.
 */
export type ProviderKeyStatus = 'unchecked' | 'unreadable' | 'unavailable';

export interface ListedProviderKey {
  provider: string;
  maskedKey: string;
  version: number;
  status: ProviderKeyStatus;
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
}

export interface SavedProviderKey {
  maskedKey: string;
  version: number;
  outcome: 'created' | 'replaced' | 'unchanged';
}

interface WantedSecret {
  clerkOrgId: string;
  provider: string;
  secret: string;
}

interface ReadyToStore {
  /** The version that it was compared with; null when there was none. */
  replaces: number | null;
  organizationId: string;
  dataKey: SealingKey;
}

export interface RevealedProviderKey {
  key: string;
  version: number;
  /** Whose key it is: the organisation's own. */
  source: 'own';
}

/** A save prepares and stores; both together, beside finding the caller's key, stay below 2 s, whatever is begun again. */
const SAVE_LIMIT_MS = 1_600;
const PREPARE_LIMIT_MS = 850;
const STORE_LIMIT_MS = 900;
/** Beside finding the caller's key and opening a data key, which may take 350 and 400 ms, below 2 s. */
const READ_LIMIT_MS = 1_200;

interface Dependencies extends HoldersKeysOptions {
  dataKeys: DataKeys;
  lastUsed: LastUsed;
  /** Told of every stored secret that did not open, wherever it was met. */
  onUnreadable: (facts: { requestId: string; provider: string; rowId: string; reason: string }) => void;
}

/** Keeps customers' own provider keys sealed, and hands them out to those who may have them. */
export class ProviderKeys {
  readonly #dependencies: Dependencies;
  readonly #holders: HoldersKeys;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    this.#holders = new HoldersKeys(dependencies);
  }

  get cache(): LeasedCache<SealedKey> {
    return this.#holders.cache;
  }

  /**
   * Saves a secret as the next version. The same secret again writes nothing and keeps its version.
   *
   * It is begun again as often as its data key was replaced meanwhile.
   *
   * All that needs no lock comes first: many saves for one provider wait for each other at its row, and hold it for no
   * more than it takes to number and store a version.
   */
  async save(caller: ServiceCaller, wanted: WantedSecret): Promise<SavedProviderKey> {
    const deadline = performance.now() + SAVE_LIMIT_MS;
    const msLeft = () => Math.max(1, deadline - performance.now());
    do {
      try {
        return await this.#save(caller, wanted, msLeft);
      } catch (error) {
        if (!(error instanceof DataKeyReplaced)) throw error;
      }
    } while (performance.now() < deadline);
    throw databaseUnavailable();
  }

  async #save(caller: ServiceCaller, wanted: WantedSecret, msLeft: () => number): Promise<SavedProviderKey> {
    const { database } = this.#dependencies;
    const maskedKey = maskSecret(wanted.secret);
    const prepared = await within(
      Math.min(PREPARE_LIMIT_MS, msLeft()),
      this.#prepare(caller, wanted),
      databaseUnavailable,
    );
    if ('unchanged' in prepared) return { maskedKey, version: prepared.unchanged, outcome: 'unchanged' };
    const stored = await database.transaction(
      (queries) => this.#store(caller, queries, wanted, prepared),
      Math.min(STORE_LIMIT_MS, msLeft()),
    );
    this.#changed(prepared.organizationId);
    return { maskedKey, ...stored };
  }

  /**
   * Sorted by provider. A secret that does not open is listed all the same, as unreadable; one that cannot be opened just
   * now is listed without a character of it.
   */
  async list(caller: ServiceCaller, clerkOrgId: string): Promise<ListedProviderKey[]> {
    const { database } = this.#dependencies;
    const rows = await database.query((queries) => listSealed(queries, { clerkOrgId }), READ_LIMIT_MS);
    return Promise.all(
      rows.map(async (row) => {
        const { secret, status } = await this.#openForList(caller, new SealedKey(row));
        const { provider, version, createdAt, updatedAt, lastUsedAt } = row;
        return {
          provider,
          maskedKey: secret === null ? FULLY_MASKED : maskSecret(secret),
          version,
          status,
          createdAt,
          updatedAt,
          lastUsedAt,
        };
      }),
    );
  }

  /** Hands any organisation's secret to one of the platform's services. Errors: see `revealOwn`. */
  async reveal(caller: ServiceCaller, clerkOrgId: string, provider: string): Promise<RevealedProviderKey> {
    const { database } = this.#dependencies;
    const row = await database.query((queries) => findSealed(queries, { clerkOrgId }, provider), READ_LIMIT_MS);
    return this.#reveal(caller, row === undefined ? null : new SealedKey(row));
  }

  /**
   * Hands an organisation's secret to the holder of one of its API keys.
   *
   * @throws ServiceError `provider_key_not_found`, `provider_key_unreadable` when it is there and does not open, or
   * `encryption_unavailable` when it cannot be opened just now
   */
  revealOwn(caller: ApiKeyCaller, provider: string): RevealedProviderKey | Promise<RevealedProviderKey> {
    const found = this.#holders.find(caller.organizationId, provider);
    return found instanceof Promise ? found.then((key) => this.#reveal(caller, key)) : this.#reveal(caller, found);
  }

  /** Destroys the secret in every version. @returns whether there was one */
  async remove(_caller: ServiceCaller, clerkOrgId: string, provider: string): Promise<boolean> {
    const destroyed = await this.#dependencies.database.transaction((queries) =>
      destroySecret(queries, clerkOrgId, provider),
    );
    if (destroyed === null) return false;
    this.#changed(destroyed.organizationId);
    return true;
  }

  #reveal(caller: Caller, sealed: SealedKey | null): RevealedProviderKey | Promise<RevealedProviderKey> {
    if (sealed === null) {
      throw new ServiceError('provider_key_not_found', 'This organisation has no key for this provider.');
    }
    const secret = this.#tryOpen(caller, sealed);
    return secret instanceof Promise
      ? secret.then((opened) => this.#revealed(sealed, opened))
      : this.#revealed(sealed, secret);
  }

  #revealed({ row: { id, version } }: SealedKey, key: string | null): RevealedProviderKey {
    if (key === null) {
      throw new ServiceError(
        'provider_key_unreadable',
        'The stored key for this provider cannot be read. Save it again.',
        { context: { rowId: id } },
      );
    }
    this.#dependencies.lastUsed.record(id, Date.now());
    return { key, version, source: 'own' };
  }

  #changed(organizationId: string): void {
    this.#dependencies.changes.announce({ kind: 'organization-changed', organizationId });
  }

  /** What is stored now, and unless that is what is wanted, who to store it for and what to seal it with. */
  async #prepare(
    caller: Caller,
    { clerkOrgId, provider, secret }: WantedSecret,
  ): Promise<{ unchanged: number } | ReadyToStore> {
    const { database, dataKeys } = this.#dependencies;
    const current = await database.query((queries) => findSealed(queries, { clerkOrgId }, provider), PREPARE_LIMIT_MS);
    if (current !== undefined && (await this.#tryOpen(caller, new SealedKey(current))) === secret)
      return { unchanged: current.version };
    const organizationId =
      current?.organizationId ??
      (await database.query((queries) => ensureOrganization(queries, clerkOrgId), PREPARE_LIMIT_MS));
    const dataKey = await dataKeys.forSealing(organizationId);
    return { replaces: current?.version ?? null, organizationId, dataKey };
  }

  async #store(
    caller: Caller,
    queries: Queries,
    { provider, secret }: WantedSecret,
    { replaces, organizationId, dataKey }: ReadyToStore,
  ): Promise<Pick<SavedProviderKey, 'version' | 'outcome'>> {
    await requireLiving(queries, organizationId);
    const row = await lockRow(queries, { id: uuidv7(), organizationId, provider });
    if (isLive(row) && row.version !== replaces) {
      // Somebody else was first; it may have been with the same secret.
      const current = await findSealed(queries, { organizationId }, provider);
      if (current !== undefined && (await this.#tryOpen(caller, new SealedKey(current))) === secret) {
        return { version: row.version, outcome: 'unchanged' };
      }
    }
    await this.#dependencies.dataKeys.confirm(queries, dataKey);
    const version = row.version + 1;
    const sealed = seal(dataKey, placeOf({ id: row.id, organizationId, provider, version }), secret);
    await storeVersion(queries, row, { version, dataKeyId: dataKey.id, sealed });
    return { version, outcome: isLive(row) ? 'replaced' : 'created' };
  }

  /** Null for a secret that does not open; comparing it with another, it is a different one, and is replaced. */
  #tryOpen(caller: Caller, sealed: SealedKey): string | null | Promise<string | null> {
    const failed = (error: unknown) => this.#noteUnreadable(caller, sealed, error);
    try {
      const secret = sealed.open(this.#dependencies.dataKeys);
      return secret instanceof Promise ? secret.catch(failed) : secret;
    } catch (error) {
      return failed(error);
    }
  }

  /** What cannot be opened just now is not unreadable for it. */
  async #openForList(caller: Caller, sealed: SealedKey): Promise<{ secret: string | null; status: ProviderKeyStatus }> {
    try {
      const secret = await this.#tryOpen(caller, sealed);
      return { secret, status: secret === null ? 'unreadable' : 'unchecked' };
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'encryption_unavailable') throw error;
      return { secret: null, status: 'unavailable' };
    }
  }

  #noteUnreadable({ requestId }: Caller, { row: { provider, id: rowId } }: SealedKey, error: unknown): null {
    if (!(error instanceof DecryptionError)) throw error;
    this.#dependencies.onUnreadable({ requestId, provider, rowId, reason: error.reason });
    return null;
  }
}
